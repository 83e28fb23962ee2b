"""The parts that a source's own names tell apart: training, validation and test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

PartName: TypeAlias = Literal["train", "validation", "test"]

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

DESCRIPTION = "train (training), val (valid, validation, dev) and test (testing)"
"""The names, for messages."""


def notes_of_parts(names: Mapping[PartName, str], counts: Mapping[PartName, int]) -> dict[str, str]:
    """Say what is done with each part of a source that has a validation or a test part of its own.

    Args:
        names: of each part, what the source calls it, such as "val/".
        counts: of each part, its images.

    Example:
        >>> notes_of_parts({"train": "train/", "validation": "val/"}, {"train": 80, "validation": 20})
        {'train': '80 of train/', 'validation': '20 of val/, which choose the best epoch'}
    """
    roles = {"train": "", "validation": ", which choose the best epoch", "test": ", which judge the model"}
    return {part: f"{counts[part]:,} of {name}{roles[part]}" for part, name in names.items()}
