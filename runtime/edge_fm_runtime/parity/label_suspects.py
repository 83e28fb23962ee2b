"""Labels that may be wrong: images that a model, which did not learn from them, surely calls something else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

LISTED = 20
_OF_WHAT_GUESSING_LEAVES = 0.5
_ROUNDING = 1e-9
"""Of a mean of equal numbers."""


@dataclass(frozen=True)
class LabelSuspect:
    """An image whose label is worth a look.

    Attributes:
        index: which image.
        label: its label.
        predicted: the class that the model is sure of.
        score: the probability of that class.
        label_score: the probability of the label.
        file: of the image; None where images are not files.
    """

    index: int
    label: str
    predicted: str
    score: float
    label_score: float
    file: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As `edgefm evaluate --json` and metrics.json have it."""
        return asdict(self)


def label_suspects(
    probabilities: npt.NDArray[np.floating[Any]],
    labels: npt.NDArray[np.integer[Any]],
    label_names: Sequence[str],
    *,
    files: Sequence[str] = (),
) -> tuple[LabelSuspect, ...]:
    """At most twenty labels to check, the most doubtful first.

    An image is a suspect where the probability of another class is at least what images of that class get on average
    (confident learning, Northcutt et al. 2021); the order is by how far it is above that of the label. A model that
    itself is wrong too often says nothing of labels: none is a suspect where it is right on less than half of the
    images that always guessing the most frequent class would get wrong.

    Args:
        probabilities: `[N,classes]`, of a model that did not learn from these images.
        labels: `[N]`, 0..classes-1.
        label_names: one for each class.
        files: the file of each image; empty where there are none.

    Example:
        >>> rows = np.array([[0.9, 0.1], [0.95, 0.05], [0.1, 0.9], [0.98, 0.02]])
        >>> [suspect.index for suspect in label_suspects(rows, np.array([0, 0, 1, 1]), ("bag", "coat"))]
        [3]
    """
    if not len(labels):
        return ()
    values, truth = probabilities.astype(np.float64), labels.astype(np.int64)
    own = values[np.arange(len(truth)), truth]
    counts = np.bincount(truth, minlength=values.shape[1])
    # A class without images has no average, and none is called by its name.
    usual = np.where(counts > 0, np.bincount(truth, weights=own, minlength=values.shape[1]) / np.maximum(counts, 1), 2)
    predicted = values.argmax(axis=1)
    guessing = counts.max() / len(truth)
    if (predicted == truth).mean() < guessing + _OF_WHAT_GUESSING_LEAVES * (1 - guessing):
        return ()
    score = values.max(axis=1)
    doubtful = np.flatnonzero((predicted != truth) & (score >= usual[predicted] - _ROUNDING))
    order = doubtful[np.argsort(own[doubtful] - score[doubtful], kind="stable")][:LISTED]
    return tuple(
        LabelSuspect(
            int(i),
            label_names[truth[i]],
            label_names[predicted[i]],
            float(score[i]),
            float(own[i]),
            files[int(i)] if files else None,
        )
        for i in order
    )
