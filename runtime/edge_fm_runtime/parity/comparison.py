"""How far the predictions of two models are apart: differences, agreement, and the accuracy drop with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.errors import EngineError
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
        reference: class that the original predicts.
        candidate: class that the exported model predicts.
    """

    index: int
    max_abs_diff: float
    reference: int
    candidate: int


@dataclass(frozen=True)
class Parity:
    """How far an exported model's predictions are from the original's; accuracies are fractions, drops are points.

    Attributes:
        n: number of images compared.
        max_abs_diff: largest absolute difference of any probability.
        mean_abs_diff: mean absolute difference over images and classes.
        top1_agreement: fraction of images on which both predict the same class; of a multi-label model, see
            `multi_label.MultiLabelParity`.
        accuracy_reference: of the original; None without labels.
        accuracy: of the exported model; None without labels.
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
    def agreement_name(self) -> str:
        """What `top1_agreement` is called in checks and JSON."""
        return "top1_agreement"

    @property
    def measure(self) -> str:
        """What `accuracy` measures."""
        return "accuracy"

    def describe_disagreement(self) -> str:
        """How many predictions differ, for a person."""
        return f"{self.n - self.agreeing:,} of {self.n:,} predictions differ"

    @property
    def agreement_ci95(self) -> tuple[float, float]:
        """95% interval of `top1_agreement` (Clopper and Pearson 1934)."""
        return exact_interval(self.agreeing, self.n)

    @property
    def agreeing(self) -> int:
        """On how many images both predict the same class."""
        return round(self.top1_agreement * self.n)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        data = asdict(self)
        data["drop_ci95"] = None if self.drop_ci95 is None else list(self.drop_ci95)
        data["agreement_ci95"] = list(self.agreement_ci95)
        data["worst"] = [asdict(w) for w in self.worst]
        return data


def compare_probabilities(
    reference: FloatArray,
    candidate: FloatArray,
    *,
    labels: IntArray | None = None,
    label_names: Sequence[str] | None = None,
) -> Parity:
    """Compare two models' predictions for the same images.

    Args:
        reference: `[N, classes]` probabilities of the original.
        candidate: `[N, classes]` probabilities of the exported model.
        labels: `[N]` true classes, or None.
        label_names: names for `per_class_drop`; class numbers otherwise.

    Raises:
        EngineError: the shapes differ, there is nothing to compare, or a probability is not finite.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.2, 0.8]])
        >>> compare_probabilities(p, p, labels=np.array([0, 1])).top1_agreement
        1.0
    """
    check_comparable(reference, candidate)
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


def check_comparable(reference: FloatArray, candidate: FloatArray) -> None:
    """Raise unless both are finite predictions `[N, classes]` for the same images.

    Raises:
        EngineError: the shapes differ, there is nothing to compare, or a probability is not finite.
    """
    if reference.shape != candidate.shape or reference.ndim != 2 or not len(reference):
        raise EngineError(
            f"Cannot compare predictions of shape {list(reference.shape)} with {list(candidate.shape)}; "
            "both must be [N, classes] with N of at least 1.",
            hint="Check that the artifact was made from this model.",
        )
    for who, values in (("original", reference), ("exported model", candidate)):
        if not np.isfinite(values).all():
            bad = int(np.count_nonzero(~np.isfinite(values).all(axis=1)))
            raise EngineError(
                f"The {who} predicts NaN or infinity for {bad} of {len(values)} images.",
                hint="Look at the model's scaling and weights; a float16 overflow needs --precision fp32.",
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
