"""Which epoch, trial or combination is the best: by one figure on validation images, of equals by the loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_fm_runtime.parity.class_means import class_means
from edge_fm_runtime.parity.likelihood import negative_log_likelihood


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
