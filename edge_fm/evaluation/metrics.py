"""How good predictions are: accuracy, loss, per-class figures, confusion, calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.scores.figures import CalibrationBin, brier_score, calibration_bins, calibration_error
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.parity.label_suspects import LabelSuspect, label_suspects
from edge_fm_runtime.parity.likelihood import negative_log_likelihood

_LISTED = 10
_Z95 = 1.959964
_SLACK = 1e-3
"""How far quantized probabilities may be beyond 0 and 1."""


@dataclass(frozen=True)
class ClassScore:
    """Figures of one class; a ratio without cases is 0, as in scikit-learn."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class WrongPrediction:
    """A wrong prediction.

    Attributes:
        index: which image.
        true: its label.
        predicted: the model's.
        score: how sure the model was, 0..1.
        file: of the image, relative to the folder that it was read from; None where images are not files.
    """

    index: int
    true: str
    predicted: str
    score: float
    file: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The entry of `edgefm evaluate --json`, where the predicted label is called "answered"."""
        return {"answered" if name == "predicted" else name: value for name, value in asdict(self).items()}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How good a model's predictions are; accuracies and ratios are fractions.

    Attributes:
        n: number of images.
        accuracy: fraction predicted right.
        accuracy_ci95: 95% interval of the accuracy (Wilson 1927).
        loss: mean negative log of the probability of the true class (probabilities clipped at 1e-7, as Keras does).
        per_class: label -> its figures.
        macro: mean precision, recall and F1 of the classes that occur.
        confusion: int64 `[classes,classes]`; rows are true, columns predicted.
        brier: mean squared distance of the probabilities from the truth, summed over the classes (Brier 1950).
        calibration_error: expected calibration error over 15 equal bins (Guo et al. 2017).
        calibration: those bins, the least confident first.
        most_confused: (true, predicted, count), the most frequent first.
        worst: wrong predictions, the most confident first.
        label_suspects: labels that may be wrong, the most doubtful first.
    """

    n: int
    accuracy: float
    accuracy_ci95: tuple[float, float]
    loss: float
    per_class: dict[str, ClassScore]
    macro: dict[str, float]
    confusion: npt.NDArray[np.int64]
    brier: float
    calibration_error: float
    calibration: tuple[CalibrationBin, ...]
    most_confused: tuple[tuple[str, str, int], ...]
    worst: tuple[WrongPrediction, ...]
    label_suspects: tuple[LabelSuspect, ...] = ()

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that occur, a fraction."""
        return self.macro["recall"]

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that occur, a fraction."""
        return self.macro["f1"]

    def to_json(self) -> dict[str, Any]:
        """As JSON values, with the keys of `edgefm evaluate --json`."""
        return {
            "n": self.n,
            "accuracy": self.accuracy,
            "accuracy_ci95": list(self.accuracy_ci95),
            "balanced_accuracy": self.balanced_accuracy,
            "macro_f1": self.macro_f1,
            "loss": self.loss,
            "per_class": {label: asdict(score) for label, score in self.per_class.items()},
            "macro": dict(self.macro),
            "confusion": self.confusion.tolist(),
            "brier": self.brier,
            "calibration_error": self.calibration_error,
            "calibration_bins": len(self.calibration),
            "calibration": [asdict(bin_) for bin_ in self.calibration],
            "most_confused": [{"true": t, "answered": a, "count": c} for t, a, c in self.most_confused],
            "worst": [one.to_json() for one in self.worst],
            "label_suspects": [one.to_json() for one in self.label_suspects],
        }


def evaluate_probabilities(
    probabilities: npt.NDArray[np.floating[Any]],
    labels: npt.NDArray[np.integer[Any]],
    label_names: Sequence[str],
    *,
    files: Sequence[str] = (),
) -> Evaluation:
    """Score predictions of labelled images.

    Args:
        probabilities: `[N,classes]`, rows that sum to 1.
        labels: `[N]`, 0..classes-1.
        label_names: one for each class.
        files: the file of each image, so that wrong predictions are named by it; empty where there are none.

    Raises:
        DataError: shapes that do not fit, a label out of range, a name twice, or values that are not probabilities.

    Example:
        >>> evaluate_probabilities(np.eye(2), np.array([0, 1]), ["Bag", "Coat"]).accuracy
        1.0
    """
    _check(probabilities, labels, label_names)
    classes = len(label_names)
    # Whatever came in: small integers would overflow below, and float16 sums would be coarse.
    predictions, truth = probabilities.astype(np.float64), labels.astype(np.int64)
    predicted = predictions.argmax(axis=1)
    confusion = np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)
    right = predicted == truth
    confidence = np.clip(predictions.max(axis=1), 0.0, 1.0)
    per_class = _per_class(confusion, label_names)
    calibration = calibration_bins(confidence, right)
    occurring = [score for score in per_class.values() if score.support]
    return Evaluation(
        n=len(truth),
        accuracy=float(right.mean()),
        accuracy_ci95=_wilson(int(right.sum()), len(truth)),
        loss=negative_log_likelihood(predictions, truth),
        per_class=per_class,
        macro={
            key: math.fsum(getattr(score, key) for score in occurring) / len(occurring)
            for key in ("precision", "recall", "f1")
        },
        confusion=confusion.astype(np.int64),
        brier=brier_score(predictions, truth),
        calibration_error=calibration_error(calibration),
        calibration=calibration,
        most_confused=_most_confused(confusion, label_names),
        worst=_worst(truth, predicted, confidence, label_names, files),
        label_suspects=label_suspects(predictions, truth, label_names, files=files),
    )


def _check(
    probabilities: npt.NDArray[np.floating[Any]], labels: npt.NDArray[np.integer[Any]], names: Sequence[str]
) -> None:
    classes = len(names)
    if len(set(names)) != classes:
        raise DataError(
            f"Of {classes} label names only {len(set(names))} are different.", hint="Give each class a name of its own."
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(f"Labels are {labels.dtype} {list(labels.shape)}; they must be whole numbers [N].")
    if probabilities.ndim != 2 or probabilities.shape != (len(labels), classes) or not len(labels):
        raise DataError(
            f"Got probabilities of shape {list(probabilities.shape)} for {len(labels)} labels and {classes} names; "
            "they must be [N, classes] with N of at least 1."
        )
    bad = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
    if len(bad):
        raise DataError(
            f"The predictions of {len(bad)} of {len(labels)} images are not finite; the first is image {bad[0]}.",
            hint="Check the model: edgefm verify ARTIFACT",
        )
    bad = np.flatnonzero(((probabilities < -_SLACK) | (probabilities > 1 + _SLACK)).any(axis=1))
    if len(bad):
        raise DataError(
            f"The predictions of {len(bad)} of {len(labels)} images are not probabilities: image {bad[0]} has values "
            f"from {probabilities[bad[0]].min():.4g} to {probabilities[bad[0]].max():.4g}.",
            hint="The model must end in a softmax.",
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"Labels run from {labels.min()} to {labels.max()}; the model has classes 0 to {classes - 1}.")


def _per_class(confusion: npt.NDArray[np.int64], names: Sequence[str]) -> dict[str, ClassScore]:
    scores = {}
    for i, name in enumerate(names):
        hits, predicted, support = int(confusion[i, i]), int(confusion[:, i].sum()), int(confusion[i].sum())
        precision = hits / predicted if predicted else 0.0
        recall = hits / support if support else 0.0
        f1 = 2 * hits / (predicted + support) if predicted + support else 0.0
        scores[name] = ClassScore(precision, recall, f1, support)
    return scores


def _wilson(hits: int, n: int) -> tuple[float, float]:
    share, z2 = hits / n, _Z95 * _Z95
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def _most_confused(confusion: npt.NDArray[np.int64], names: Sequence[str]) -> tuple[tuple[str, str, int], ...]:
    off = confusion.copy()
    np.fill_diagonal(off, 0)
    order = np.argsort(-off, axis=None, kind="stable")[:_LISTED]
    pairs = (np.unravel_index(i, off.shape) for i in order)
    return tuple((names[t], names[a], int(off[t, a])) for t, a in pairs if off[t, a] > 0)


def _worst(
    truth: npt.NDArray[np.int64],
    predicted: npt.NDArray[np.intp],
    confidence: npt.NDArray[np.float64],
    names: Sequence[str],
    files: Sequence[str],
) -> tuple[WrongPrediction, ...]:
    wrong = np.flatnonzero(predicted != truth)
    selected = wrong[np.argsort(-confidence[wrong], kind="stable")][:_LISTED]
    return tuple(
        WrongPrediction(
            int(i), names[truth[i]], names[predicted[i]], float(confidence[i]), files[int(i)] if files else None
        )
        for i in selected
    )
