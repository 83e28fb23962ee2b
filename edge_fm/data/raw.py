"""What a reader hands over, and how its values become pixels and class numbers."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_fm.data.dataset import Images, Labels, SourceFile, Split
from edge_fm_runtime.errors import DataError

Array: TypeAlias = npt.NDArray[Any]
Shape: TypeAlias = tuple[int, int, int]
Locate: TypeAlias = Callable[[int], str]
"""Says where image number i (from 0) stands, such as "train.csv, line 17"."""

LABELS_FILE = "labels.txt"
_MAX_CHANNELS = 4
_CHUNK = 4096


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


@dataclass(frozen=True, eq=False)
class Part:
    """One split as it stands in a file.

    Attributes:
        images: numbers `[N,...]`.
        labels: numbers or text `[N]`.
        locate: where image i stands.
    """

    images: Array
    labels: Array
    locate: Locate


def assemble(
    train: Part,
    test: Part | None,
    *,
    shape: Shape | None,
    names: Sequence[str] | None,
    files: Mapping[str, SourceFile],
    notes: Mapping[str, Any] | None = None,
) -> Raw:
    """Turn a file's values into pixels and class numbers.

    Args:
        train: all images where there is no `test`.
        test: the source's own test split.
        shape: height, width, channels; how flat rows are folded. Images of another size stay as they are.
        names: label names, where the source has them.
        files: what was read.
        notes: what the reader did.

    Raises:
        DataError: values, shapes or labels that cannot be right; names the file and the row.
    """
    parts = [train] if test is None else [train, test]
    for part in parts:
        if not len(part.images):
            raise DataError(f"{part.locate(0)}: there are no images.")
        if len(part.images) != len(part.labels):
            raise DataError(
                f"{part.locate(0)}: {len(part.images)} images but {len(part.labels)} labels.",
                hint="Give each image one label.",
            )
    scaled, pixel_note = to_pixels(parts)
    images = [fold(values, shape, part.locate) for values, part in zip(scaled, parts, strict=True)]
    labels, label_names, label_note = number_labels(parts, names)
    splits = [Split(i, n) for i, n in zip(images, labels, strict=True)]
    return Raw(
        label_names=label_names,
        train=splits[0],
        test=None if test is None else splits[1],
        notes={**(notes or {}), **pixel_note, **label_note},
        files=files,
    )


def to_pixels(parts: Sequence[Part]) -> tuple[list[Images], dict[str, Any]]:
    """Bring numbers to uint8, all parts by the same rule: 0..1 is scaled (floats only), 0..255 is rounded.

    Raises:
        DataError: no numbers, NaN or infinity, or values outside 0..255; names the row.
    """
    arrays = [part.images for part in parts]
    if all(a.dtype == np.uint8 for a in arrays):
        return arrays, {}
    for part in parts:
        if part.images.dtype.kind not in "buif":
            raise DataError(
                f"{part.locate(0)}: pixels are {part.images.dtype}; supported are integers, floats and booleans."
            )
        if part.images.dtype.kind == "f":
            _first_bad(part, ~np.isfinite(part.images), "is no finite number")
        _first_bad(part, (part.images < 0) | (part.images > 255), "is outside 0..255")
    floats = any(a.dtype.kind in "bf" for a in arrays)
    if floats and max(float(a.max(initial=0)) for a in arrays) <= 1:
        return [_round(a, 255) for a in arrays], {"pixels": "scaled from 0..1 to 0..255"}
    pixels = [_round(a, 1) for a in arrays]
    rounded = any((whole != given).any() for whole, given in zip(pixels, arrays, strict=True))
    return pixels, {"pixels": "rounded to whole numbers"} if rounded else {}


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
        folded = shape if shape is not None and math.prod(shape) == axes[0] else _square(axes[0])
        if folded is None:
            raise DataError(
                f"{locate(0)}: images have {axes[0]} values each, which is no square, grey or RGB"
                f"{'' if shape is None else ', and not ' + 'x'.join(map(str, shape))}.",
                hint="Give the shape: height, width and channels, such as --size 32x24x1.",
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


def _square(values: int) -> Shape | None:
    for channels in (1, 3):
        side = math.isqrt(values // channels)
        if side * side * channels == values:
            return (side, side, channels)
    return None


def number_labels(
    parts: Sequence[Part], names: Sequence[str] | None
) -> tuple[list[Labels], tuple[str, ...], dict[str, Any]]:
    """Number the classes from 0.

    With `names`, labels are positions in them. Without, the classes are those that occur in training, in ascending
    order, called by what stands in the file; numbers that do not run from 0 without a gap are renumbered.

    Returns:
        labels of each part, label names, and a note where labels were renumbered.

    Raises:
        DataError: a label that is no class; names the row.
    """
    if parts[0].labels.dtype.kind in "US":
        texts = [np.char.decode(p.labels, "utf-8") if p.labels.dtype.kind == "S" else p.labels for p in parts]
        classes = np.unique(texts[0])
        _check_classes(parts, texts, classes)
        return [np.searchsorted(classes, t).astype(np.int64) for t in texts], tuple(map(str, classes)), {}
    numbers = [_whole(part) for part in parts]
    if names is not None:
        for part, values in zip(parts, numbers, strict=True):
            outside = np.flatnonzero(values >= len(names))
            if len(outside):
                row = int(outside[0])
                raise DataError(
                    f"{part.locate(row)}: label {values[row]} is out of range; there are {len(names)} label names, so "
                    f"labels run from 0 to {len(names) - 1}.",
                    hint="Correct the label, or the list of names.",
                )
        return numbers, tuple(names), {}
    classes = np.unique(numbers[0])
    _check_classes(parts, numbers, classes)
    label_names = tuple(str(c) for c in classes.tolist())
    if np.array_equal(classes, np.arange(len(classes))):
        return numbers, label_names, {}
    mapping = {str(old): new for new, old in enumerate(classes.tolist())}
    return [np.searchsorted(classes, v).astype(np.int64) for v in numbers], label_names, {"relabelled": mapping}


def _whole(part: Part) -> Labels:
    labels = part.labels.reshape(-1)
    if labels.dtype.kind == "f":
        bad = np.flatnonzero(~(np.isfinite(labels) & (np.rint(labels) == labels)))
    elif labels.dtype.kind in "biu":
        bad = np.zeros(0, np.intp)
    else:
        raise DataError(f"{part.locate(0)}: labels are of type {labels.dtype}; supported are whole numbers and text.")
    if not len(bad):
        bad = np.flatnonzero((labels < 0) | (labels > np.iinfo(np.int32).max))
    if len(bad):
        row = int(bad[0])
        raise DataError(
            f"{part.locate(row)}: label {labels[row]} is out of range; labels are whole numbers from 0.",
            hint="Correct the label, or leave the row out.",
        )
    return labels.astype(np.int64)


def _check_classes(parts: Sequence[Part], labels: Sequence[Array], classes: Array) -> None:
    """A class of one image is a slip, and one that training lacks cannot be learnt."""
    values, first, counts = np.unique(labels[0], return_index=True, return_counts=True)
    lone = np.flatnonzero(counts == 1)
    if len(lone):
        row = int(first[lone[0]])
        raise DataError(
            f"{parts[0].locate(row)}: label {values[lone[0]]!s} is out of range or occurs only here: of the "
            f"{len(values)} classes, {len(lone)} {'has' if len(lone) == 1 else 'have'} a single image.",
            hint="Correct the label, or give the class a second image: one to learn from, one to be judged by.",
        )
    for part, given in zip(parts[1:], labels[1:], strict=True):
        unknown = np.flatnonzero(~np.isin(given, classes))
        if len(unknown):
            row = int(unknown[0])
            raise DataError(
                f"{part.locate(row)}: label {given[row]!s} does not occur in training, which has {len(classes)} "
                f"classes: {', '.join(map(str, classes[:10]))}{' ...' if len(classes) > 10 else ''}.",
                hint="Correct the label, or leave the row out.",
            )


def one_column(labels: Array) -> Array:
    """Labels `[N,1]` as `[N]`; others as they are."""
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def read_names(folder: Path) -> tuple[str, ...] | None:
    """The label names in `labels.txt` of a folder, one a line in the order of their numbers; None without such a file.

    Raises:
        DataError: it is not UTF-8, empty, or has a name twice.
    """
    path = folder / LABELS_FILE
    if not path.is_file():
        return None
    try:
        names = tuple(line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.", hint="Write one label a line, as UTF-8.") from error
    if not names or len(set(names)) != len(names):
        raise DataError(
            f"{path} has {len(names)} names, {len(set(names))} of them different; each line names one class."
        )
    return names


def describe_file(path: Path) -> SourceFile:
    """Size and SHA-256 of a file."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return SourceFile(str(path), path.stat().st_size, digest)
