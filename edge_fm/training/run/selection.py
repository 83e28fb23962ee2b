"""Which epoch, trial or combination is the best: by one figure on validation images, of equals by the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_fm_runtime.multi_label import DEFAULT_THRESHOLD
from edge_fm_runtime.parity.class_means import class_means
from edge_fm_runtime.parity.likelihood import binary_cross_entropy, negative_log_likelihood
from edge_fm_runtime.parity.multi_label import decide, mean_average_precision


@dataclass(frozen=True)
class Scores:
    """Figures of predictions; all but the loss are fractions.

    Attributes:
        accuracy: fraction that is right.
        loss: mean negative log likelihood.
        balanced_accuracy: mean recall of the classes that occur.
        macro_f1: mean F1 of the classes that occur.
    """

    accuracy: float
    loss: float
    balanced_accuracy: float
    macro_f1: float

    def named(self, split: str) -> dict[str, float]:
        """As metrics.json and history.csv have them: such as "val_accuracy" -> value."""
        return {f"{split}_{name}": value for name, value in self.__dict__.items()}


def score(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> Scores:
    """Score float32 `[N,classes]` by int64 `[N]`."""
    predicted = probabilities.argmax(axis=1)
    means = class_means(predicted, labels, probabilities.shape[1])
    loss = negative_log_likelihood(probabilities, labels)
    return Scores(float((predicted == labels).mean()), loss, means.balanced_accuracy, means.macro_f1)


@dataclass(frozen=True)
class LabelScores:
    """Figures of multi-label predictions; all but the loss are fractions.

    Attributes:
        accuracy: share of the labels of all images that are decided right.
        loss: mean binary cross-entropy.
        macro_f1: mean F1 of the labels that occur.
        map: mean average precision of the labels that occur.
    """

    accuracy: float
    loss: float
    macro_f1: float
    map: float

    def named(self, split: str) -> dict[str, float]:
        """As metrics.json and history.csv have them: such as "val_map" -> value."""
        return {f"{split}_{name}": value for name, value in self.__dict__.items()}


def score_labels(
    probabilities: NDArray[np.float32], truth: NDArray[Any], thresholds: Sequence[float] | None = None
) -> LabelScores:
    """Score float32 `[N,labels]` by 0 or 1 `[N,labels]`; a label applies from its threshold on, 0.5 where None."""
    applies = truth.astype(np.bool_)
    given = decide(probabilities, [DEFAULT_THRESHOLD] * truth.shape[1] if thresholds is None else thresholds)
    there = applies.any(axis=0)
    f1 = 2 * (given & applies).sum(axis=0) / np.maximum(given.sum(axis=0) + applies.sum(axis=0), 1)
    found = mean_average_precision(probabilities, applies) if there.any() else 0.0
    loss = binary_cross_entropy(probabilities, applies)
    return LabelScores(float((given == applies).mean()), loss, float(f1[there].mean()) if there.any() else 0.0, found)


def selection_key(select_by: str) -> str:
    """The name of the figure that selects, in history.csv and metrics.json.

    Example:
        >>> selection_key("macro_f1")
        'val_macro_f1'
    """
    return f"val_{select_by}"


def rank(row: Mapping[str, Any], select_by: str) -> tuple[float, float]:
    """What orders rows of figures, the best highest; of equals, the one with the lower loss.

    Args:
        row: a row of history.csv.
        select_by: of the recipe's [training].
    """
    figure = row[selection_key(select_by)]
    return (-figure if select_by == "loss" else figure, -row["val_loss"])
