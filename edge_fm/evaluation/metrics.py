"""Numbers that say how good answers are: accuracy, loss, per-class figures, confusion, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.errors import DataError

_BINS = 15
_LISTED = 10


@dataclass(frozen=True)
class ClassScore:
    """Figures of one class; a ratio without cases is 0, as in scikit-learn."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How good a model's answers are; accuracies and ratios are fractions.

    Attributes:
        n: number of images.
        accuracy: fraction answered right.
        loss: mean negative log of the probability of the true class (probabilities clipped at 1e-7, as Keras does).
        per_class: label -> its figures.
        confusion: int64 `[classes,classes]`; rows are true, columns answered.
        calibration_error: expected calibration error over 15 equal bins (Guo et al. 2017).
        most_confused: (true, answered, count), the most frequent first.
        worst: indices of wrong answers, the most confident first.
    """

    n: int
    accuracy: float
    loss: float
    per_class: dict[str, ClassScore]
    confusion: npt.NDArray[np.int64]
    calibration_error: float
    most_confused: tuple[tuple[str, str, int], ...]
    worst: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON values, with the keys of `edgefm evaluate --json`."""
        return {
            "n": self.n,
            "accuracy": self.accuracy,
            "loss": self.loss,
            "per_class": {
                label: {"precision": s.precision, "recall": s.recall, "f1": s.f1, "support": s.support}
                for label, s in self.per_class.items()
            },
            "confusion": self.confusion.tolist(),
            "calibration_error": self.calibration_error,
            "most_confused": [{"true": t, "answered": a, "count": c} for t, a, c in self.most_confused],
            "worst": list(self.worst),
        }


def evaluate_probabilities(
    probabilities: npt.NDArray[np.floating[Any]], labels: npt.NDArray[np.integer[Any]], label_names: Sequence[str]
) -> Evaluation:
    """Score answers to labelled images.

    Args:
        probabilities: `[N,classes]`, rows that sum to 1.
        labels: `[N]`, 0..classes-1.
        label_names: one for each class.

    Raises:
        DataError: shapes that do not fit, a label out of range, or a probability that is not finite.

    Example:
        >>> evaluate_probabilities(np.eye(2), np.array([0, 1]), ["Bag", "Coat"]).accuracy
        1.0
    """
    classes = len(label_names)
    if probabilities.ndim != 2 or probabilities.shape != (len(labels), classes) or not len(labels):
        raise DataError(
            f"Got probabilities of shape {list(probabilities.shape)} for {len(labels)} labels and {classes} names; "
            "they must be [N, classes] with N of at least 1."
        )
    if not np.isfinite(probabilities).all():
        bad = int(np.flatnonzero(~np.isfinite(probabilities).all(axis=1))[0])
        raise DataError(f"The answer to image {bad} is not finite.", hint="Check the model: edgefm verify ARTIFACT")
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"Labels run from {labels.min()} to {labels.max()}; the model has classes 0 to {classes - 1}.")
    answered = probabilities.argmax(axis=1)
    confusion = np.bincount(labels * classes + answered, minlength=classes * classes).reshape(classes, classes)
    right = answered == labels
    true_probability = np.clip(probabilities[np.arange(len(labels)), labels], 1e-7, 1.0)
    confidence = probabilities.max(axis=1)
    wrong = np.flatnonzero(~right)
    return Evaluation(
        n=len(labels),
        accuracy=float(right.mean()),
        loss=float(-np.log(true_probability).mean()),
        per_class=_per_class(confusion, label_names),
        confusion=confusion.astype(np.int64),
        calibration_error=_calibration_error(confidence, right),
        most_confused=_most_confused(confusion, label_names),
        worst=tuple(int(i) for i in wrong[np.argsort(-confidence[wrong], kind="stable")][:_LISTED]),
    )


def _per_class(confusion: npt.NDArray[np.int64], names: Sequence[str]) -> dict[str, ClassScore]:
    scores = {}
    for i, name in enumerate(names):
        hits, answered, support = int(confusion[i, i]), int(confusion[:, i].sum()), int(confusion[i].sum())
        precision = hits / answered if answered else 0.0
        recall = hits / support if support else 0.0
        f1 = 2 * hits / (answered + support) if answered + support else 0.0
        scores[name] = ClassScore(precision, recall, f1, support)
    return scores


def _calibration_error(confidence: npt.NDArray[np.floating[Any]], right: npt.NDArray[np.bool_]) -> float:
    """Mean gap between confidence and accuracy over bins of equal width, weighted by their counts."""
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    counts = np.bincount(bins, minlength=_BINS)
    gaps = np.bincount(bins, weights=right, minlength=_BINS) - np.bincount(bins, weights=confidence, minlength=_BINS)
    return float(np.abs(gaps).sum() / counts.sum())


def _most_confused(confusion: npt.NDArray[np.int64], names: Sequence[str]) -> tuple[tuple[str, str, int], ...]:
    off = confusion.copy()
    np.fill_diagonal(off, 0)
    order = np.argsort(-off, axis=None, kind="stable")[:_LISTED]
    pairs = (np.unravel_index(i, off.shape) for i in order)
    return tuple((names[t], names[a], int(off[t, a])) for t, a in pairs if off[t, a] > 0)
