"""Does the copy answer like the original? Differences, agreement, accuracy drop with its interval, and limits.

A limit holds for all images that the model will ever see, and only a sample of them is at hand. So agreement and
accuracy drop are judged by what the sample shows: a check fails where the whole 95% interval is beyond the limit, and
warns where the estimate is beyond it but the interval is not. One flipped prediction among 81 is an agreement of 98.8%,
and quite usual for a model that agrees on 99.9% of all images; ten of 10,000 are, eighteen are not.

- Agreement: exact binomial interval (Clopper and Pearson 1934, "The use of confidence or fiducial limits illustrated in
  the case of the binomial"). A copy that keeps the limit fails in at most 2.5% of all samples, at any sample size.
- Accuracy drop: paired interval of Agresti and Min 2005 ("Simple improved confidence intervals for comparing matched
  proportions"), which adds half a case to each cell. From 40 images on, a copy whose drop is the limit fails in at most
  2.5% of all samples (a test enumerates them).
- The largest difference of a probability is compared as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.artifacts.metadata import Format, Precision
from edge_fm_runtime.defaults import MAX_DROP_POINTS
from edge_fm_runtime.errors import EngineError, GateError
from edge_fm_runtime.parity.binomial import exact_interval

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]

_WORST = 10


@dataclass(frozen=True)
class WorstSample:
    """One of the samples whose probabilities moved most.

    Attributes:
        index: position in the compared set.
        max_abs_diff: largest difference over the classes.
        reference: class that the original chose.
        candidate: class that the copy chose.
    """

    index: int
    max_abs_diff: float
    reference: int
    candidate: int


@dataclass(frozen=True)
class Parity:
    """How far a copy's answers are from the original's; accuracies are fractions, drops are percentage points.

    Attributes:
        n: number of images compared.
        max_abs_diff: largest absolute difference of any probability.
        mean_abs_diff: mean absolute difference over images and classes.
        top1_agreement: fraction of images on which both choose the same class.
        accuracy_reference: of the original; None without labels.
        accuracy: of the copy; None without labels.
        drop_points: accuracy_reference - accuracy, in points; None without labels.
        drop_ci95: 95% interval of drop_points, paired (Agresti and Min 2005, adjusted Wald); None without labels.
        per_class_drop: recall drop in points for each class that occurs; None without labels.
        worst: the samples that moved most.
    """

    n: int
    max_abs_diff: float
    mean_abs_diff: float
    top1_agreement: float
    accuracy_reference: float | None
    accuracy: float | None
    drop_points: float | None
    drop_ci95: tuple[float, float] | None
    per_class_drop: dict[str, float] | None
    worst: tuple[WorstSample, ...]

    @property
    def agreement_ci95(self) -> tuple[float, float]:
        """95% interval of `top1_agreement` (Clopper and Pearson 1934)."""
        return exact_interval(self.agreeing, self.n)

    @property
    def agreeing(self) -> int:
        """On how many images both choose the same class."""
        return round(self.top1_agreement * self.n)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        data = asdict(self)
        data["drop_ci95"] = None if self.drop_ci95 is None else list(self.drop_ci95)
        data["agreement_ci95"] = list(self.agreement_ci95)
        data["worst"] = [asdict(w) for w in self.worst]
        return data


@dataclass(frozen=True)
class Limits:
    """Tolerances of the gate; None leaves a check out.

    Attributes:
        min_agreement: least top-1 agreement, a fraction.
        max_drop_points: largest accuracy drop in percentage points; needs labels.
        max_abs_diff: largest absolute difference of any probability.
        min_agreement_unlabelled: least agreement where `max_drop_points` cannot be judged for want of labels.
    """

    min_agreement: float | None = None
    max_drop_points: float | None = None
    max_abs_diff: float | None = None
    min_agreement_unlabelled: float | None = None


@dataclass(frozen=True)
class Check:
    """One check: `value` against `limit`, in the unit that `name` says.

    Attributes:
        name: what was checked; names that begin with "top1" have a least value, the others a largest one.
        value: as seen on the sample.
        limit: what `value` is held against.
        passed: whether the limit is kept; for a sampled value, whether any of its interval keeps it.
        ci95: 95% interval of a value that is sampled; None for one that is compared as it is.
        detail: what was counted, such as "1 of 81 predictions differ"; empty where nothing was.
    """

    name: str
    value: float
    limit: float
    passed: bool
    ci95: tuple[float, float] | None = None
    detail: str = ""

    @property
    def least(self) -> bool:
        """Whether `limit` is the least allowed value, not the largest."""
        return self.name.startswith("top1")

    @property
    def warns(self) -> bool:
        """Whether the check passed although `value` itself is beyond the limit: too few images to tell."""
        return self.passed and (self.value < self.limit if self.least else self.value > self.limit)

    @property
    def verdict(self) -> str:
        """One word for a table."""
        return "warning" if self.warns else "passed" if self.passed else "FAILED"

    def describe(self) -> str:
        """One line for a person."""
        told = [self.detail] if self.detail else []
        if self.ci95 is not None:
            told.append(f"95% interval {self.ci95[0]:.6g} to {self.ci95[1]:.6g}")
        seen = f" ({', '.join(told)})" if told else ""
        relation = "at least" if self.least else "at most"
        return f"{self.name} = {self.value:.6g}{seen}, must be {relation} {self.limit:.6g}"

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "ci95": None if self.ci95 is None else list(self.ci95), "warns": self.warns}


_MAX_ABS_DIFF_FP32: dict[str, float] = {"savedmodel": 1e-4, "onnx": 1e-4, "litert": 1e-4, "openvino": 1e-3}


def default_limits(format: Format, precision: Precision) -> Limits:
    """The gate's tolerances for a format at a precision."""
    if precision == "fp32":
        return Limits(min_agreement=0.9999, max_abs_diff=_MAX_ABS_DIFF_FP32[format])
    if precision == "fp16":
        return Limits(min_agreement=0.999)
    return Limits(max_drop_points=MAX_DROP_POINTS, min_agreement_unlabelled=0.98)


def compare_probabilities(
    reference: FloatArray,
    candidate: FloatArray,
    *,
    labels: IntArray | None = None,
    label_names: Sequence[str] | None = None,
) -> Parity:
    """Compare two models' answers to the same images.

    Args:
        reference: `[N, classes]` probabilities of the original.
        candidate: `[N, classes]` probabilities of the copy.
        labels: `[N]` true classes, or None.
        label_names: names for `per_class_drop`; class numbers otherwise.

    Raises:
        EngineError: the shapes differ, nothing is to be compared, or an answer is not finite.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.2, 0.8]])
        >>> compare_probabilities(p, p, labels=np.array([0, 1])).top1_agreement
        1.0
    """
    if reference.shape != candidate.shape or reference.ndim != 2 or not len(reference):
        raise EngineError(
            f"Cannot compare answers of shape {list(reference.shape)} with {list(candidate.shape)}; "
            "both must be [N, classes] with N of at least 1.",
            hint="Check that the artifact was made from this model.",
        )
    for who, values in (("original", reference), ("exported model", candidate)):
        if not np.isfinite(values).all():
            bad = int(np.count_nonzero(~np.isfinite(values).all(axis=1)))
            raise EngineError(
                f"The {who} answered {bad} of {len(values)} images with NaN or infinity.",
                hint="Look at the model's scaling and weights; a float16 overflow needs --precision fp32.",
            )
    diff = np.abs(reference.astype(np.float64) - candidate.astype(np.float64))
    per_sample = diff.max(axis=1)
    top_reference, top_candidate = reference.argmax(axis=1), candidate.argmax(axis=1)
    worst = np.argsort(-per_sample, kind="stable")[:_WORST]
    accuracy_reference = accuracy = drop = None
    interval: tuple[float, float] | None = None
    per_class: dict[str, float] | None = None
    if labels is not None:
        right_reference, right = top_reference == labels, top_candidate == labels
        accuracy_reference, accuracy = float(right_reference.mean()), float(right.mean())
        drop, interval = _paired_drop(right_reference, right)
        per_class = {
            (label_names[c] if label_names else str(c)): 100.0
            * float(right_reference[labels == c].mean() - right[labels == c].mean())
            for c in range(reference.shape[1])
            if (labels == c).any()
        }
    return Parity(
        n=len(reference),
        max_abs_diff=float(diff.max()),
        mean_abs_diff=float(diff.mean()),
        top1_agreement=float((top_reference == top_candidate).mean()),
        accuracy_reference=accuracy_reference,
        accuracy=accuracy,
        drop_points=drop,
        drop_ci95=interval,
        per_class_drop=per_class,
        worst=tuple(
            WorstSample(int(i), float(per_sample[i]), int(top_reference[i]), int(top_candidate[i])) for i in worst
        ),
    )


def _paired_drop(
    right_reference: npt.NDArray[np.bool_], right: npt.NDArray[np.bool_]
) -> tuple[float, tuple[float, float]]:
    """Accuracy drop in points with its 95% interval (Agresti and Min 2005: half a case added to each cell)."""
    n = len(right)
    lost = int(np.count_nonzero(right_reference & ~right))
    won = int(np.count_nonzero(~right_reference & right))
    b, c, m = lost + 0.5, won + 0.5, n + 2.0
    centre = (b - c) / m
    half = 1.959964 * math.sqrt(max(b + c - (b - c) ** 2 / m, 0.0)) / m
    return 100.0 * (lost - won) / n, (100.0 * (centre - half), 100.0 * (centre + half))


def check_parity(parity: Parity, limits: Limits) -> tuple[Check, ...]:
    """Hold `parity` against `limits`: every check that applies, passed or not."""
    agreement = limits.min_agreement
    if limits.max_drop_points is not None and parity.drop_points is None:
        fallback = limits.min_agreement_unlabelled
        agreement = max((a for a in (agreement, fallback) if a is not None), default=None)
    checks = []
    if agreement is not None:
        checks.append(check_agreement(parity, agreement))
    if limits.max_abs_diff is not None:
        limit = limits.max_abs_diff
        checks.append(Check("max_abs_diff", parity.max_abs_diff, limit, parity.max_abs_diff <= limit))
    if limits.max_drop_points is not None and parity.drop_points is not None and parity.drop_ci95 is not None:
        limit, near_end = limits.max_drop_points, parity.drop_ci95[0]
        detail = f"{parity.n:,} images"
        checks.append(Check("drop_points", parity.drop_points, limit, near_end <= limit, parity.drop_ci95, detail))
    return tuple(checks)


def check_agreement(parity: Parity, limit: float, *, name: str = "top1_agreement") -> Check:
    """Judge top-1 agreement by its exact interval: it fails where even the upper end is below `limit`.

    Example:
        >>> one, other = np.eye(2)[[0] * 81], np.eye(2)[[0] * 80 + [1]]
        >>> check = check_agreement(compare_probabilities(one, other), 0.999)
        >>> check.passed, check.warns, check.detail
        (True, True, '1 of 81 predictions differ')
    """
    interval, differ = parity.agreement_ci95, parity.n - parity.agreeing
    detail = f"{differ:,} of {parity.n:,} predictions differ"
    return Check(name, parity.top1_agreement, limit, interval[1] >= limit, interval, detail)


def doubts(checks: Sequence[Check], n: int) -> tuple[str, ...]:
    """One sentence for each check that `n` images are too few to decide: its estimate is beyond its limit.

    Example:
        >>> doubts([Check("drop_points", 1.0, 0.5, passed=True)], 81)
        ('drop_points = 1, must be at most 0.5: 81 images are too few to tell; judge by more.',)
    """
    return tuple(
        f"{check.describe()}: {n:,} images are too few to tell; judge by more." for check in checks if check.warns
    )


def require(checks: Sequence[Check], *, what: str, hint: str) -> None:
    """Raise one error that lists every failed check.

    Raises:
        GateError: at least one check failed.
    """
    failures = [check.describe() for check in checks if not check.passed]
    if failures:
        raise GateError(f"{what} failed {len(failures)} of {len(checks)} checks:", failures, hint=hint)
