"""What a reader hands over, and how its values become pixels and class numbers."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_fm.data.dataset import Images, SourceFile, Split
from edge_fm.data.readers.class_numbers import class_columns, is_one_axis, number_labels
from edge_fm.data.readers.label_file import read_label_file
from edge_fm.data.readers.split_names import Array, Locate, Part, PartName
from edge_fm_runtime.errors import DataError

Shape: TypeAlias = tuple[int, int, int]

LABELS_FILE = "labels.txt"
_MAX_CHANNELS = 4
_CHUNK = 4096
_LARGEST_FRACTION = 2.0
"""Floats up to here are meant to be 0..1, as no photo is as dark in 0..255."""


@dataclass(frozen=True, eq=False)
class Raw:
    """What a reader hands over.

    Attributes:
        label_names: one for each class.
        train: all images where there is no `test`.
        test: the source's own test split, or None.
        keys: of each image of `train`; copies have the same one. None: the pixels decide.
        notes: see `Dataset`.
        files: see `Dataset`.
        validation: the source's own validation split, or None.
    """

    label_names: tuple[str, ...]
    train: Split
    test: Split | None = None
    keys: Sequence[bytes] | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, SourceFile] = field(default_factory=dict)
    validation: Split | None = None


def assemble(
    parts: Mapping[PartName, Part],
    *,
    shape: Shape | None,
    names: Sequence[str] | None,
    files: Mapping[str, SourceFile],
    notes: Mapping[str, Any] | None = None,
) -> Raw:
    """Turn a file's values into pixels and class numbers.

    Args:
        parts: training, and the source's own validation and test splits where it has them.
        shape: height, width, channels; how flat rows are folded. Images of another size stay as they are.
        names: label names, where the source has them.
        files: what was read.
        notes: what the reader did.

    Raises:
        DataError: values, shapes or labels that cannot be right; names the file and the row.
    """
    for part in parts.values():
        _check_counts(part)
    given = list(parts.values())
    given, column_note = class_columns(given)
    scaled, pixel_note = to_pixels(given)
    images = [fold(values, shape, part.locate) for values, part in zip(scaled, given, strict=True)]
    labels, label_names, label_note = number_labels(given, names)
    splits = {name: Split(i, n) for name, i, n in zip(parts, images, labels, strict=True)}
    all_notes = {**(notes or {}), **_axes_note(scaled[0], images[0]), **pixel_note, **column_note, **label_note}
    return Raw(
        label_names=label_names,
        train=splits["train"],
        test=splits.get("test"),
        notes=all_notes,
        files=files,
        validation=splits.get("validation"),
    )


def _check_counts(part: Part) -> None:
    images, labels = part.images, part.labels
    if labels.ndim > images.ndim > 0:
        raise DataError(
            f"{part.locate(0)}: the images have the shape {list(images.shape)} and the labels {list(labels.shape)}: "
            "they seem to be swapped.",
            hint="Name them the other way round: numpy.savez(path, images=..., labels=...).",
        )
    if not images.ndim or not labels.ndim:
        raise DataError(f"{part.locate(0)}: the {'labels are' if images.ndim else 'images are'} a single value.")
    if not len(images):
        raise DataError(f"{part.locate(0)}: there are no images.")
    if len(images) == len(labels) or is_one_axis(labels, len(images)):
        return
    last = images.shape[-1] == labels.size
    raise DataError(
        f"{part.locate(0)}: {len(images)} images but {len(labels)} labels (shapes {list(images.shape)} and "
        f"{list(labels.shape)}).",
        hint="The first axis must count the images: numpy.moveaxis(images, -1, 0)."
        if last
        else "Give each image one label.",
    )


def _axes_note(given: Images, images: Images) -> dict[str, Any]:
    if given.ndim == 4 and given.shape != images.shape:
        return {"axes": "turned from [N,C,H,W] to [N,H,W,C]"}
    if given.ndim == 2 and images.shape[3] > 1:
        return {"axes": f"rows of {given.shape[1]} values were folded to {'x'.join(map(str, images.shape[1:]))}"}
    return {}


def to_pixels(parts: Sequence[Part]) -> tuple[list[Images], dict[str, Any]]:
    """Bring numbers to uint8, all parts by the same rule: 0..1 is scaled (floats only), 0..255 is rounded.

    Raises:
        DataError: no numbers, NaN or infinity, or values outside 0..255; names the row.
    """
    arrays = [part.images for part in parts]
    if all(a.dtype == np.uint8 for a in arrays):
        return arrays, _almost_black(arrays)
    for part in parts:
        if part.images.dtype.kind not in "buif":
            raise DataError(
                f"{part.locate(0)}: pixels are {part.images.dtype}; supported are integers, floats and booleans."
            )
        if part.images.dtype.kind == "f":
            _first_bad(part, ~np.isfinite(part.images), "is not a finite number")
        _first_bad(part, (part.images < 0) | (part.images > 255), "is outside 0..255")
    floats = any(a.dtype.kind in "bf" for a in arrays)
    highest = [float(a.max(initial=0)) for a in arrays]
    if floats and max(highest) <= 1:
        return [_round(a, 255) for a in arrays], {"pixels": "scaled from 0..1 to 0..255"}
    _check_scale(parts, highest)
    pixels = [_round(a, 1) for a in arrays]
    rounded = any((whole != given).any() for whole, given in zip(pixels, arrays, strict=True))
    return pixels, {"pixels": "rounded to whole numbers"} if rounded else _almost_black(pixels)


def _almost_black(images: Sequence[Images]) -> dict[str, Any]:
    """A note where whole numbers end at 1: a mask of 0 and 1, which is not scaled as floats are."""
    most = max(int(a.max(initial=0)) for a in images)
    return {"pixels": f"none is above {most} of 255; whole numbers are never scaled"} if most <= 1 else {}


def _check_scale(parts: Sequence[Part], highest: Sequence[float]) -> None:
    """Refuse fractions that rounding to 0..255 would wipe out: of 0..1 with some above it, or of one part alone.

    Raises:
        DataError: a part has fractions and nothing above 2; names it and its largest value.
    """
    for part, most in zip(parts, highest, strict=True):
        if (
            part.images.dtype.kind == "f"
            and 0 < most <= _LARGEST_FRACTION
            and (np.rint(part.images) != part.images).any()
        ):
            beside = f", those of other images to {max(highest):g}" if max(highest) > _LARGEST_FRACTION else ""
            raise DataError(
                f"{part.locate(0)}: the pixels are fractions from 0 to {most:g}{beside}; supported are 0..1 or 0..255, "
                "the same for all images.",
                hint="Bring them there first, such as numpy.clip(images, 0, 1), or images * 255 for these alone.",
            )


def _round(values: Array, factor: int) -> Images:
    """Scale and round some thousand images at a time: copies of all of them as floats need not fit into memory."""
    pixels = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), _CHUNK):
        part = values[start : start + _CHUNK]
        pixels[start : start + _CHUNK] = np.rint(part * np.float32(factor)) if factor != 1 else np.rint(part)
    return pixels


def _first_bad(part: Part, bad: npt.NDArray[np.bool_], what: str) -> None:
    rows = np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))
    if not len(rows):
        return
    row = int(rows[0])
    position = int(np.flatnonzero(bad[row].reshape(-1))[0])
    value = part.images[row].reshape(-1)[position]
    raise DataError(
        f"{part.locate(row)}: pixel {position + 1} {what}: {value}; {len(rows)} of {len(bad)} images have such pixels.",
        hint="Pixels are whole numbers from 0 to 255, or floats from 0 to 1: bring them there first.",
    )


def fold(images: Images, shape: Shape | None, locate: Locate) -> Images:
    """Give images the axes `[N,H,W,C]`.

    `[N,P]` is folded to `shape`, else to a square, grey or RGB; `[N,H,W]` gets a channel; `[N,C,H,W]` is turned.

    Raises:
        DataError: the axes cannot be understood.
    """
    n, axes = len(images), images.shape[1:]
    if len(axes) == 1:
        # A shape that the values do not fill is what the images are brought to later on.
        folded = shape if shape is not None and math.prod(shape) == axes[0] else square(axes[0])
        if folded is None:
            raise DataError(
                f"{locate(0)}: images have {axes[0]} values each, which is not a square, grey or RGB"
                f"{'' if shape is None else ', and not ' + 'x'.join(map(str, shape))}.",
                hint=f"Give the shape: height, width and channels, such as --size {_divided(axes[0])}.",
            )
        return images.reshape(n, *folded)
    if len(axes) == 2:
        return images[..., None]
    if len(axes) == 3 and axes[2] <= _MAX_CHANNELS:
        return images
    if len(axes) == 3 and axes[0] in (1, 3):
        return np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    raise DataError(
        f"{locate(0)}: images are {list(images.shape)}; supported are [N,P], [N,H,W], [N,H,W,C] with at most "
        f"{_MAX_CHANNELS} channels, and [N,C,H,W] with 1 or 3."
    )


def _divided(values: int) -> str:
    """The shape nearest to a square that so many values fill, as `--size` takes it."""
    height = next(side for side in range(math.isqrt(values), 0, -1) if values % side == 0)
    return f"{height}x{values // height}x1"


def square(values: int) -> Shape | None:
    """The square, grey or RGB, that so many values fill; None where there is none."""
    for channels in (1, 3):
        side = math.isqrt(values // channels)
        if side * side * channels == values:
            return (side, side, channels)
    return None


def read_names(folder: Path) -> tuple[str, ...] | None:
    """The label names in `labels.txt` of a folder, one a line in the order of their numbers; None without such a file.

    Raises:
        DataError: as for `read_label_file`.
    """
    path = folder / LABELS_FILE
    return read_label_file(path).names if path.is_file() else None


def describe_file(path: Path) -> SourceFile:
    """Size and SHA-256 of a file."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return SourceFile(str(path), path.stat().st_size, digest)
