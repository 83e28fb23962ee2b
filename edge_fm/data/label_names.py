"""Bring a dataset's classes into a model's order, by name."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.errors import DataError


def label_order(dataset_labels: Sequence[str], model_labels: Sequence[str], *, name: str) -> npt.NDArray[np.int64]:
    """For each class of a dataset, its number in the model.

    Names that are not the same are compared by their letters and digits alone, because a folder cannot be called
    "T-shirt/top": "T-shirt_top" means that class.

    Args:
        dataset_labels: the dataset's label names.
        model_labels: the model's, in the order of its output.
        name: the dataset's, for the message.

    Raises:
        DataError: the dataset has a label that the model does not, or two that mean the same class.

    Example:
        >>> label_order(["Bag", "T-shirt_top"], ["T-shirt/top", "Bag", "Dress"], name="photos").tolist()
        [1, 0]
    """
    order = [find_label(label, model_labels) for label in dataset_labels]
    unknown = [label for label, number in zip(dataset_labels, order, strict=True) if number is None]
    if unknown:
        raise DataError(
            f"{name} has images labelled {', '.join(unknown)}; the model's classes are {', '.join(model_labels)}.",
            hint="Name the dataset's classes as the model does (its folders, or one a line in a labels.txt beside the "
            "file), or the model's as the dataset does: edgefm export --labels FILE",
        )
    numbers = np.array(order, dtype=np.int64)
    taken, counts = np.unique(numbers, return_counts=True)
    if (counts > 1).any():
        twice = int(taken[counts > 1][0])
        both = [label for label, number in zip(dataset_labels, order, strict=True) if number == twice]
        raise DataError(
            f"{name} has the labels {' and '.join(both)}, which both mean the model's {model_labels[twice]}.",
            hint="Make them one class.",
        )
    return numbers


def find_label(label: str, names: Sequence[str]) -> int | None:
    """The position of the one name that `label` means, as `label_order` compares them, or None."""
    if label in names:
        return list(names).index(label)
    plain = _plain(label)
    alike = [i for i, name in enumerate(names) if plain and _plain(name) == plain]
    return alike[0] if len(alike) == 1 else None


def _plain(label: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFC", label).casefold() if char.isalnum())
