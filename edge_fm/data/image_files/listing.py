"""The images of a source, before any of them is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge_fm.data.image_files.folder_layout import MAX_LISTED
from edge_fm.data.label_sets import label_sets
from edge_fm.data.readers.split_names import PartName
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.photos.suffixes import LISTED


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file and what is known of it.

    Attributes:
        path: where it lies.
        label: number of its class.
        name: what the source calls it: its path below the source's folder, with slashes.
        group: what it comes from; empty where that is not known.
    """

    path: Path
    label: int
    name: str
    group: str = ""


@dataclass(frozen=True, eq=False)
class Listing:
    """The images of a folder or a manifest.

    Attributes:
        source: the folder or the manifest.
        label_names: one for each class.
        parts: the images of the source's own splits; "train" alone where it has none.
        notes: what was done to the source's own data.
        advice: what to do about a class that has too few images.
        multi_label: whether a class is a set of labels; then each label needs images.
    """

    source: Path
    label_names: tuple[str, ...]
    parts: Mapping[PartName, Sequence[ImageFile]]
    notes: Mapping[str, Any] = field(default_factory=dict)
    advice: str = ""
    multi_label: bool = False

    @property
    def folder(self) -> Path:
        """The folder that the images' names are relative to."""
        return self.source if self.source.is_dir() else self.source.parent

    def check_counts(self) -> None:
        """Refuse classes that cannot be learned, or not tested.

        Raises:
            DataError: a class has too few training images; names them.
        """
        train, alone = self.parts["train"], "test" not in self.parts
        names: tuple[str, ...] = self.label_names
        counts = np.bincount([image_file.label for image_file in train], minlength=len(names))
        if self.multi_label:
            sets = label_sets(names)
            names, counts = sets.names, counts @ sets.table
        least, what = 2 if alone else 1, "labels" if self.multi_label else "classes"
        few = [f"{name} ({count})" for name, count in zip(names, counts, strict=True) if count < least]
        if few:
            why = "one for training and one for the test" if alone else "to learn from"
            if alone and "validation" not in self.parts and not any(image_file.group for image_file in train):
                why += " (and edgefm train one for validation)"
            raise DataError(
                f"{self.source}: {len(few)} of {len(names)} {what} have too few training images: "
                f"{', '.join(few[:MAX_LISTED])}. Each needs at least {least}, {why}.",
                hint=f"Add images ({LISTED}), or {self.advice}",
            )
