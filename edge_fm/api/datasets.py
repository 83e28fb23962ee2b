"""`fetch_data`, `describe_data` and `draw_data`: datasets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.api.common.reading import Reading
from edge_fm_runtime.errors import DataError, EdgeFMError
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent
from edge_fm_runtime.system.atomic_write import writing

if TYPE_CHECKING:
    from edge_fm.data import Dataset
    from edge_fm_runtime.artifacts.metadata import PhotoSpec

PER_CLASS = 12
_AUGMENTED_PX = 112
"""Longer side, in pixels, of an image that shows a recipe's augmentation."""
CONTACT_SHEET = Path("contact-sheet.png")


@dataclass(frozen=True)
class FetchedData:
    """A dataset that is on this machine.

    Attributes:
        name: as it is called.
        path: its folder.
    """

    name: str
    path: Path

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm data fetch --json` prints."""
        return {"name": self.name, "path": str(self.path)}


@dataclass(frozen=True, eq=False)
class DataDescription:
    """Counts, label balance, copies and hashes of a dataset.

    Attributes:
        facts: as `edgefm data info --json` prints them.
        not_trainable: why `train` would refuse the dataset; None where it would begin.
    """

    facts: Mapping[str, Any]
    not_trainable: EdgeFMError | None = None

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm data info --json` prints."""
        return dict(self.facts)


@dataclass(frozen=True)
class ContactSheet:
    """One image that shows some images of each class.

    Attributes:
        path: the PNG that was written.
        width: in pixels.
        height: in pixels.
    """

    path: Path
    width: int
    height: int

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm data show --json` prints."""
        return {"path": str(self.path), "width": self.width, "height": self.height}


def fetch_data(
    name: str = "fashion-mnist", *, progress: ProgressFn = silent, note: MessageFn = ignore_message
) -> FetchedData:
    """Get the whole of a dataset into $EDGEFM_DATA or the cache folder, with checked sums.

    Args:
        name: "fashion-mnist", or "clothing-photos": phone photos of clothes by several hundred people.
        progress: called with bytes.
        note: called with what is tried.

    Raises:
        DataError: there is no dataset of that name, or a file is damaged.
        DownloadError: no host could be reached; says how to supply the files by hand.
    """
    from edge_fm.data import clothing_photos, fashion_mnist

    if name == fashion_mnist.NAME:
        return FetchedData(name, fashion_mnist.fetch(progress=progress, note=note))
    if name == clothing_photos.NAME:
        return FetchedData(name, clothing_photos.fetch(progress=progress, note=note))
    supported = f"{fashion_mnist.NAME}, {clothing_photos.NAME}"
    raise DataError(f"There is no dataset called {name!r} to fetch; supported: {supported}.")


def describe_data(
    source: str,
    *,
    size: tuple[int, int, int] | None = None,
    skip_unreadable: float | None = None,
    group: str | None = None,
    label_column: str | None = None,
    progress: ProgressFn = silent,
    note: MessageFn = ignore_message,
) -> DataDescription:
    """Count a dataset's images, labels and copies.

    Args:
        source: fashion-mnist, fashion-mnist-mini, an image folder, a manifest, a .npz, .npy or .csv file, or a folder
            of IDX files.
        size: height, width and channels that images are brought to.
        skip_unreadable: share of the images of a folder or a manifest that may be left out as they cannot be read.
        group: what images come from, which splits keep together: a column of a manifest, `FILE:COLUMN` of a file in
            an image folder, or a pattern of the paths; None for a manifest's column called group.
        label_column: column of a manifest that holds the labels; None to tell by the names.
        progress: called as images are read.
        note: called with what was left out, and what is tried.
    """
    from edge_fm.data import dataset_info
    from edge_fm.training.input_pipeline.checks import why_not_trainable

    dataset = _load(source, size, Reading(skip_unreadable, group, label_column), progress, note)
    return DataDescription(dataset_info(dataset), why_not_trainable(dataset))


def draw_data(
    source: str,
    *,
    size: tuple[int, int, int] | None = None,
    split: str = "train",
    per_class: int = PER_CLASS,
    out: str | Path = CONTACT_SHEET,
    skip_unreadable: float | None = None,
    group: str | None = None,
    label_column: str | None = None,
    augmented: str | Path | None = None,
    progress: ProgressFn = silent,
    note: MessageFn = ignore_message,
) -> ContactSheet:
    """Write a contact sheet: some images of each class, or what a recipe's augmentation makes of some images.

    Args:
        source: as for `describe_data`.
        size: likewise.
        split: "train", "validation" or "test".
        per_class: images of each class.
        out: PNG to write.
        skip_unreadable: as for `describe_data`.
        group: likewise.
        label_column: likewise.
        augmented: a recipe, by name or file: each row shows one of its operations alone, the last one all of them;
            images are brought to its shape, unless `size` says another, and `per_class` is the length of a row.
        progress: likewise.
        note: likewise.
    """
    from edge_fm.data import contact_sheet

    reading = Reading(skip_unreadable, group, label_column)
    if augmented is None:
        photo = _photo_of_training(size)
        sheet = contact_sheet(_load(source, size, reading, progress, note, photo), split, per_class=per_class)
    else:
        import numpy as np

        from edge_fm.api.common.augmented_images import augmented_images
        from edge_fm.training import load_recipe

        recipe = load_recipe(augmented)
        own = recipe.data.shape
        side = size or ((own[0], own[1], own[2]) if own else None)
        dataset = _load(source, side, reading, progress, note, recipe.photo)
        shown = augmented_images(dataset, recipe, split, columns=per_class)
        height, width, channels = shown.shape
        title = f"{shown.name}: {np.count_nonzero(shown.train.labels == 0)} images, {height}x{width}x{channels}"
        sheet = contact_sheet(shown, per_class=per_class, scale=_AUGMENTED_PX / max(height, width), title=title)
    file = Path(out)
    file.parent.mkdir(parents=True, exist_ok=True)
    with writing(file):
        sheet.save(file)
    return ContactSheet(file, sheet.width, sheet.height)


def _photo_of_training(size: tuple[int, int, int] | None) -> PhotoSpec | None:
    """How `edgefm train` brings photos to this size where it is left to select the recipe; None for the default."""
    from edge_fm.api.common.usual_recipe import is_photo_size
    from edge_fm.training import load_recipe
    from edge_fm.training.recipe.photo import PHOTO

    return load_recipe(PHOTO).photo if size and is_photo_size(size) else None


def _load(
    source: str,
    size: tuple[int, int, int] | None,
    reading: Reading,
    progress: ProgressFn,
    note: MessageFn,
    photo: PhotoSpec | None = None,
) -> Dataset:
    from edge_fm.data import load_dataset

    return load_dataset(source, shape=size, photo=photo, **reading.of(source, None), progress=progress, note=note)
