"""A folder of pictures, one subfolder for each class, with or without a training, a validation and a test part."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_fm.data.dataset import Images, Split
from edge_fm.data.readers.picture_files import (
    MAX_LISTED,
    check_depth,
    class_names,
    find_parts,
    passed_over,
    picture_files,
)
from edge_fm.data.readers.raw import Raw, Shape
from edge_fm.data.readers.split_names import DESCRIPTION, PartName, notes_of_parts
from edge_fm.data.readers.unreadable import check_unreadable
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import DataError, PhotoError
from edge_fm_runtime.photos.suffixes import LISTED
from edge_fm_runtime.progress import ProgressFn
from edge_fm_runtime.system.machine import usable_cpus

_MAX_BYTES = 16 << 30
_USUAL_SIDES = (28, 32, 48, 64, 96, 128, 160, 192, 224)


@dataclass(frozen=True)
class _Picture:
    path: Path
    label: int


def read_image_folder(
    folder: Path, *, shape: Shape | None, photo: PhotoSpec, progress: ProgressFn, skip_unreadable: float = 0.0
) -> Raw:
    """Read a folder of pictures; see `edge_fm.data.sources.load_dataset`.

    A class is a subfolder, called by its name; deeper folders belong to it. Names that begin with a dot are passed
    over. `train/`, `val/` and `test/` of such subfolders are splits (`PART_NAMES` has their other names): `val/` is the
    validation set, whether or not there is a `test/`.

    Args:
        folder: what to read.
        shape: height, width, channels of the canvas; None where all pictures have one size.
        photo: how a picture meets the canvas.
        progress: called with pictures.
        skip_unreadable: share of the pictures that may be left out because they cannot be read; the notes list them.

    Raises:
        DataError: no pictures, parts that are ambiguous, sizes that differ without a shape, or pictures that
            cannot be read (they are listed).
    """
    if shape is not None:
        check_photo_shape(shape)
    parts, unread = find_parts(folder)
    notes: dict[str, object] = {}
    if unread:
        notes["not_read"] = ", ".join(f"{sub.name}/" for sub in unread) + f" (parts are called {DESCRIPTION})"
    folders = parts or {"train": folder}
    names = class_names(list(folders.values()))
    check_depth(folders, names)
    pictures = {part: _pictures(sub, names) for part, sub in folders.items()}
    train = pictures["train"]
    if parts:
        notes |= notes_of_parts(
            {part: f"{sub.name}/" for part, sub in parts.items()}, {part: len(p) for part, p in pictures.items()}
        )
    _check_counts(folder, names, train, alone="test" not in pictures)
    every = [picture for part in pictures.values() for picture in part]
    if shape is not None and len(every) * int(np.prod(shape)) > _MAX_BYTES:
        raise DataError(
            f"{len(every)} pictures of {'x'.join(map(str, shape))} need more than {_MAX_BYTES >> 30} GiB.",
            hint="Give a smaller shape with --size.",
        )
    pixels, keys, readable, unreadable = _decode(every, shape, photo, folder, progress, skip_unreadable)
    if others := passed_over(folder, folders.values(), names):
        notes["passed_over"] = others
    if unreadable:
        notes["unreadable"] = {"pictures": len(every), "left_out": unreadable}
        pictures = {part: [p for p in those if p in readable] for part, those in pictures.items()}
        every, train = [p for p in every if p in readable], pictures["train"]
        _check_counts(folder, names, train, alone="test" not in pictures)
    labels = np.array([picture.label for picture in every], dtype=np.int64)
    splits: dict[PartName, Split] = {}
    start = 0
    for part, those in pictures.items():
        files = tuple(picture.path.relative_to(folder).as_posix() for picture in those)
        splits[part] = Split(pixels[start : start + len(those)], labels[start : start + len(those)], files)
        start += len(those)
    return Raw(
        label_names=names,
        train=splits["train"],
        test=splits.get("test"),
        keys=keys[: len(train)],
        notes=notes,
        validation=splits.get("validation"),
    )


def check_photo_shape(shape: Shape) -> None:
    """Refuse a shape that no photo can be brought to, once and not for every picture.

    Raises:
        DataError: it has other channels than grey or RGB.
    """
    from edge_fm_runtime.photos.canvas import check_shape

    try:
        check_shape(shape)
    except PhotoError as error:
        raise DataError(error.message, hint=error.hint) from error


def _pictures(folder: Path, names: tuple[str, ...]) -> list[_Picture]:
    """The pictures of a part; a class that another part has may be missing in this one."""
    there = [(label, folder / name) for label, name in enumerate(names) if (folder / name).is_dir()]
    return [_Picture(path, label) for label, sub in there for path in picture_files(sub)]


def _check_counts(folder: Path, names: tuple[str, ...], train: Sequence[_Picture], *, alone: bool) -> None:
    counts = np.bincount([picture.label for picture in train], minlength=len(names))
    least = 2 if alone else 1
    few = [f"{name} ({count})" for name, count in zip(names, counts, strict=True) if count < least]
    if few:
        why = "one for training and one for the test" if alone else "to learn from"
        raise DataError(
            f"{folder}: {len(few)} of {len(names)} classes have too few training pictures: "
            f"{', '.join(few[:MAX_LISTED])}. Each needs at least {least}, {why}.",
            hint=f"Add pictures ({LISTED}), or move the folder away. "
            "A class has folders of the same name in every part, capitals and accents alike.",
        )


def _decode(
    pictures: Sequence[_Picture],
    shape: Shape | None,
    photo: PhotoSpec,
    folder: Path,
    progress: ProgressFn,
    skip_unreadable: float,
) -> tuple[Images, list[bytes], set[_Picture], list[str]]:
    """Pixels and file hashes of the pictures that can be read, which pictures these are, and why not the others."""
    from edge_fm_runtime.photos.photo import load_canvas, make_canvas, open_photo

    def decode(picture: _Picture) -> tuple[Images, bytes] | PhotoError:
        try:
            if shape is None:
                image = open_photo(picture.path)
                canvas = make_canvas(image, (image.height, image.width, 1 if image.mode == "L" else 3), photo)
            else:
                canvas = load_canvas(picture.path, shape, photo)
            with picture.path.open("rb") as stream:
                return canvas, hashlib.file_digest(stream, "sha256").digest()
        except PhotoError as error:
            return error

    canvases: list[Images] = []
    keys, failures, readable = [], [], set()
    # Decoders work outside Python's lock, so threads help as far as there are cores.
    with ThreadPoolExecutor(max_workers=min(8, usable_cpus())) as pool:
        for i, result in enumerate(pool.map(decode, pictures)):
            if isinstance(result, PhotoError):
                failures.append(result.message)
            else:
                readable.add(pictures[i])
                canvases.append(result[0])
                keys.append(result[1])
                if result[0].shape[:2] != canvases[0].shape[:2]:
                    pool.shutdown(cancel_futures=True)
                    raise _sizes_differ(folder, pictures[i].path, result[0], canvases[0])
            progress(f"Reading {folder.name}", i + 1, len(pictures))
    check_unreadable(failures, len(pictures), skip_unreadable)
    channels = max(canvas.shape[2] for canvas in canvases)
    pixels = np.stack([np.broadcast_to(c, (*c.shape[:2], channels)) for c in canvases])
    return pixels, keys, readable, failures


def _sizes_differ(folder: Path, path: Path, canvas: Images, first: Images) -> DataError:
    size = _common_size(canvas, first)
    return DataError(
        f"The pictures of {folder} have different sizes: {path.name} has {canvas.shape[1]}x{canvas.shape[0]} pixels, "
        f"those before it {first.shape[1]}x{first.shape[0]}.",
        hint=f"Give the size to bring them to, height x width x channels: --size {'x'.join(map(str, size))} "
        f"(in a recipe: shape = {list(size)} under [data]).",
    )


def _common_size(*canvases: Images) -> Shape:
    """A usual square that none of them has to be enlarged to, in colour where one of them is."""
    side = min(min(canvas.shape[:2]) for canvas in canvases)
    usual = max((size for size in _USUAL_SIDES if size <= side), default=side)
    return (usual, usual, max(canvas.shape[2] for canvas in canvases))
