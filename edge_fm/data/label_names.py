"""Bring a dataset's classes into a model's order, by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.errors import DataError


def label_order(dataset_labels: Sequence[str], model_labels: Sequence[str], *, name: str) -> npt.NDArray[np.int64]:
    """For each class of a dataset, its number in the model.

    Args:
        dataset_labels: the dataset's label names.
        model_labels: the model's, in the order of its output.
        name: the dataset's, for the message.

    Raises:
        DataError: the dataset has a label that the model does not.

    Example:
        >>> label_order(["Bag", "Coat"], ["Coat", "Bag", "Dress"], name="photos").tolist()
        [1, 0]
    """
    unknown = [label for label in dataset_labels if label not in model_labels]
    if unknown:
        raise DataError(
            f"{name} has images labelled {', '.join(unknown)}; the model answers {', '.join(model_labels)}.",
            hint="Name the dataset's classes as the model does, or the model's as the dataset does (one a line, "
            "in the model's order): edgefm export --labels FILE",
        )
    return np.array([list(model_labels).index(label) for label in dataset_labels], dtype=np.int64)
