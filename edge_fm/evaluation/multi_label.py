"""How good multi-label predictions are: mAP, and precision, recall and F1 of each label at its threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.errors import DataError
from edge_fm_runtime.parity.likelihood import binary_cross_entropy
from edge_fm_runtime.parity.multi_label import average_precisions, decide


@dataclass(frozen=True)
class LabelScore:
    """Figures of one label; a ratio without cases is 0, as in scikit-learn.

    Attributes:
        average_precision: area under the curve of precision and recall; None where no image has the label.
        threshold: from which score on the label applies, for the next three.
        precision: share of the images that get the label that have it.
        recall: share of the images that have the label that get it.
        f1: harmonic mean of the two.
        support: images that have the label.
    """

    average_precision: float | None
    threshold: float
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, eq=False)
class MultiLabelEvaluation:
    """How good a multi-label model's predictions are; all but the loss are fractions.

    Attributes:
        n: number of images.
        mean_average_precision: mean over the labels that occur (mAP, as scikit-learn's `average_precision_score`).
        macro_f1: mean F1 of the labels that occur.
        exact_match: share of the images that get exactly their labels.
        loss: mean binary cross-entropy over images and labels (probabilities clipped at 1e-7, as Keras does).
        per_label: label -> its figures.
    """

    n: int
    mean_average_precision: float
    macro_f1: float
    exact_match: float
    loss: float
    per_label: dict[str, LabelScore]

    def to_json(self) -> dict[str, Any]:
        """As JSON values, with the keys of `edgefm evaluate --json`."""
        return {
            "n": self.n,
            "task": "multi-label",
            "map": self.mean_average_precision,
            "macro_f1": self.macro_f1,
            "exact_match": self.exact_match,
            "loss": self.loss,
            "per_label": {label: asdict(score) for label, score in self.per_label.items()},
        }


def evaluate_multi_label(
    probabilities: npt.NDArray[np.floating[Any]],
    truth: npt.NDArray[np.integer[Any]],
    label_names: Sequence[str],
    thresholds: Sequence[float],
) -> MultiLabelEvaluation:
    """Score multi-label predictions of labelled images.

    Args:
        probabilities: `[N,labels]`, each from 0 to 1.
        truth: `[N,labels]`, 1 where a label applies, else 0.
        label_names: one for each label.
        thresholds: from which score on a label applies, one for each.

    Raises:
        DataError: shapes that do not fit, values that are not probabilities, or no image with a label.

    Example:
        >>> p, truth = np.array([[0.9, 0.1], [0.8, 0.7]]), np.array([[1, 0], [1, 1]])
        >>> evaluate_multi_label(p, truth, ["cat", "dog"], [0.5, 0.5]).macro_f1
        1.0
    """
    _check(probabilities, truth, label_names)
    predictions, applies = probabilities.astype(np.float64), truth.astype(np.bool_)
    given, found = decide(predictions, thresholds), average_precisions(predictions, applies)
    per_label = {
        name: _score(given[:, i], applies[:, i], found[i], thresholds[i]) for i, name in enumerate(label_names)
    }
    occurring = [score for score in per_label.values() if score.support]
    return MultiLabelEvaluation(
        n=len(truth),
        mean_average_precision=float(np.nanmean(found)),
        macro_f1=sum(score.f1 for score in occurring) / len(occurring),
        exact_match=float((given == applies).all(axis=1).mean()),
        loss=binary_cross_entropy(predictions, applies),
        per_label=per_label,
    )


def _score(
    given: npt.NDArray[np.bool_], applies: npt.NDArray[np.bool_], average_precision: float, threshold: float
) -> LabelScore:
    hits, predicted, support = int((given & applies).sum()), int(given.sum()), int(applies.sum())
    return LabelScore(
        average_precision=None if np.isnan(average_precision) else float(average_precision),
        threshold=float(threshold),
        precision=hits / predicted if predicted else 0.0,
        recall=hits / support if support else 0.0,
        f1=2 * hits / (predicted + support) if predicted + support else 0.0,
        support=support,
    )


def _check(probabilities: npt.NDArray[Any], truth: npt.NDArray[Any], names: Sequence[str]) -> None:
    if probabilities.shape != truth.shape or truth.ndim != 2 or truth.shape[1] != len(names) or not len(truth):
        raise DataError(
            f"Got probabilities of shape {list(probabilities.shape)}, labels of {list(truth.shape)} and {len(names)} "
            "names; they must be [N, labels] with N of at least 1."
        )
    if not (np.isfinite(probabilities).all() and probabilities.min() >= 0 and probabilities.max() <= 1):
        raise DataError(
            "The predictions are not probabilities from 0 to 1.", hint="Each label must end in a sigmoid of its own."
        )
    if not truth.any():
        raise DataError("No image has a label, so mAP and F1 cannot be computed.", hint="Evaluate on other images.")
