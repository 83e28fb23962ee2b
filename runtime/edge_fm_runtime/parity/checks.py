"""The checks of a comparison: each figure against its limit.

A limit holds for all images that the model will ever see, and only a sample of them is at hand. So agreement and
accuracy drop are checked by what the sample shows: a check fails where the whole 95% interval is beyond the limit, and
warns where the estimate is beyond it but the interval is not. One flipped prediction among 81 is an agreement of 98.8%,
and quite usual for a model that agrees on 99.9% of all images; ten of 10,000 are, eighteen are not.

- Agreement: exact binomial interval (Clopper and Pearson 1934, "The use of confidence or fiducial limits illustrated in
  the case of the binomial"). A model within the limit fails in at most 2.5% of all samples, at any sample size.
- Accuracy drop: paired interval of Agresti and Min 2005 ("Simple improved confidence intervals for comparing matched
  proportions"), which adds half a case to each cell. From 40 images on, a model whose drop is the limit fails in at
  most 2.5% of all samples (a test enumerates them).
- The largest difference of a probability is compared as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edge_fm_runtime.artifacts.metadata import Format, Precision
from edge_fm_runtime.defaults import MAX_DROP_POINTS
from edge_fm_runtime.parity.comparison import Parity

MEAN_COSINE = "mean_cosine"
"""How the names of checks of cosines begin."""


@dataclass(frozen=True)
class Limits:
    """Tolerances of the gate; None leaves a check out.

    Attributes:
        min_agreement: least top-1 agreement, a fraction; of a multi-label model the least agreement on any label.
        max_drop_points: largest drop of accuracy, or of the mAP of a multi-label model, in percentage points; needs
            labels.
        max_abs_diff: largest absolute difference of any probability.
        min_agreement_unlabelled: least agreement where `max_drop_points` cannot be checked for want of labels.
    """

    min_agreement: float | None = None
    max_drop_points: float | None = None
    max_abs_diff: float | None = None
    min_agreement_unlabelled: float | None = None


@dataclass(frozen=True)
class Check:
    """One check: `value` against `limit`, in the unit that `name` says.

    Attributes:
        name: what was checked; names that begin with "top1", "label_agreement" or "mean_cosine" have a least value,
            others a largest one.
        value: as seen on the sample.
        limit: what `value` is compared with.
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
        return self.name.startswith(("top1", "label_agreement", MEAN_COSINE))

    @property
    def warns(self) -> bool:
        """Whether the check passed although `value` itself is beyond the limit: too few images to decide."""
        return self.passed and (self.value < self.limit if self.least else self.value > self.limit)

    @property
    def verdict(self) -> str:
        """For a table: "passed", "warning" or "FAILED"."""
        return "warning" if self.warns else "passed" if self.passed else "FAILED"

    def describe(self) -> str:
        """One line for a person."""
        details = [self.detail] if self.detail else []
        if self.ci95 is not None:
            details.append(f"95% interval {self.ci95[0]:.6g} to {self.ci95[1]:.6g}")
        seen = f" ({', '.join(details)})" if details else ""
        relation = "at least" if self.least else "at most"
        return f"{self.name} = {self.value:.6g}{seen}, must be {relation} {self.limit:.6g}"

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "ci95": None if self.ci95 is None else list(self.ci95), "warns": self.warns}


_MAX_ABS_DIFF_FP32: dict[str, float] = {
    **dict.fromkeys(("savedmodel", "onnx", "litert", "web", "tflm"), 1e-4),
    "openvino": 1e-3,
}


def default_limits(format: Format, precision: Precision) -> Limits:
    """The gate's tolerances for a format at a precision."""
    if precision == "fp32":
        return Limits(min_agreement=0.9999, max_abs_diff=_MAX_ABS_DIFF_FP32[format])
    if precision == "fp16":
        return Limits(min_agreement=0.999)
    return Limits(max_drop_points=MAX_DROP_POINTS, min_agreement_unlabelled=0.98)


def check_parity(parity: Parity, limits: Limits) -> tuple[Check, ...]:
    """Compare `parity` with `limits`: every check that applies, passed or not."""
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


def check_agreement(parity: Parity, limit: float, *, name: str = "") -> Check:
    """Check agreement by its exact interval: it fails where even the upper end is below `limit`.

    Args:
        parity: whose `agreement` is checked.
        limit: least value, a fraction.
        name: what is added to the name of the check.

    Example:
        >>> import numpy as np
        >>> from edge_fm_runtime.parity.comparison import compare_probabilities
        >>> one, other = np.eye(2)[[0] * 81], np.eye(2)[[0] * 80 + [1]]
        >>> check = check_agreement(compare_probabilities(one, other), 0.999)
        >>> check.passed, check.warns, check.detail
        (True, True, '1 of 81 predictions differ')
    """
    interval = parity.agreement_ci95
    detail = parity.describe_disagreement()
    return Check(f"{parity.agreement_name}{name}", parity.top1_agreement, limit, interval[1] >= limit, interval, detail)


def doubts(checks: Sequence[Check], n: int) -> tuple[str, ...]:
    """One sentence for each check that `n` images are too few to decide: its estimate is beyond its limit.

    Example:
        >>> doubts([Check("drop_points", 1.0, 0.5, passed=True)], 81)
        ('drop_points = 1, must be at most 0.5: 81 images are too few to decide; evaluate on more.',)
    """
    return tuple(
        f"{check.describe()}: {n:,} images are too few to decide; evaluate on more." for check in checks if check.warns
    )
