"""Names of a source's own parts: training, validation and test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Locate: TypeAlias = Callable[[int], str]
"""Says where image number i (from 0) stands, such as "train.csv, line 17"."""
PartName: TypeAlias = Literal["train", "validation", "test"]
ORDER: tuple[PartName, ...] = ("train", "validation", "test")

PART_NAMES: Mapping[str, PartName] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""Names that folders, files and arrays have, in lower case -> the part that is meant."""


@dataclass(frozen=True, eq=False)
class Part:
    """One split as it stands in a file.

    Attributes:
        images: numbers `[N,...]`.
        labels: numbers or text `[N]`, or numbers `[N,1]` or one-hot `[N,classes]`.
        locate: where image i stands.
    """

    images: Array
    labels: Array
    locate: Locate


DESCRIPTION = "train (training), val (valid, validation, dev) and test (testing)"
"""The names, for messages."""


def notes_of_parts(names: Mapping[PartName, str], counts: Mapping[PartName, int]) -> dict[str, str]:
    """Say what is done with each part of a source that has a validation or a test part of its own.

    Args:
        names: of each part, what the source calls it, such as "val/".
        counts: of each part, its images.

    Example:
        >>> notes_of_parts({"train": "train/", "validation": "val/"}, {"train": 80, "validation": 20})
        {'train': '80 of train/', 'validation': '20 of val/, not trained on'}
    """
    roles = {"train": "", "validation": ", not trained on", "test": ", which evaluate the model"}
    return {part: f"{counts[part]:,} of {name}{roles[part]}" for part, name in names.items()}
