"""Class numbers from 0: out of numbers, text or one-hot rows, whatever a source has for labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edge_fm.data.dataset import Labels
from edge_fm.data.readers.split_names import Array, Part
from edge_fm_runtime.errors import DataError

_CORRECT_NAMES = "Correct the label, or the list of names."
_CORRECT_ROW = "Correct the label, or leave the row out."


def class_columns(parts: Sequence[Part]) -> tuple[list[Part], dict[str, Any]]:
    """Bring labels to one value for each image.

    `[N,1]` and `[1,N]` lose an axis; of one-hot rows the place of the 1 counts.

    Returns:
        The parts with labels `[N]`, and a note where labels were one-hot.

    Raises:
        DataError: rows of labels that are not one-hot; names the row.
    """
    columns = [_column(part) for part in parts]
    one_hot = [part for part, column in zip(parts, columns, strict=True) if column.shape != part.labels.shape]
    widths = {part.labels.shape[1] for part in one_hot if not is_one_axis(part.labels, len(part.images))}
    note = {"labels": f"one-hot rows of {max(widths)}; the place of the 1 is the class (argmax)"} if widths else {}
    return [replace(part, labels=column) for part, column in zip(parts, columns, strict=True)], note


def is_one_axis(labels: Array, n: int) -> bool:
    """Whether labels are `n` along one axis, such as `[N]`, `[N,1]` or `[1,N]`."""
    return labels.size == n == max(labels.shape, default=0)


def _column(part: Part) -> Array:
    labels = part.labels
    if labels.ndim == 1:
        return labels
    if is_one_axis(labels, len(part.images)):
        return labels.reshape(-1)
    if labels.ndim != 2 or labels.dtype.kind not in "biuf":
        raise DataError(
            f"{part.locate(0)}: labels are {labels.dtype} of the shape {list(labels.shape)}; supported are [N], [N,1] "
            "and one-hot numbers [N,classes].",
            hint="Give each image one label.",
        )
    wrong = np.flatnonzero(~(((labels == 0) | (labels == 1)).all(axis=1) & ((labels == 1).sum(axis=1) == 1)))
    if len(wrong):
        row = int(wrong[0])
        shown = ", ".join(f"{value:g}" for value in labels[row, :6].tolist()) + (", ..." if labels.shape[1] > 6 else "")
        raise DataError(
            f"{part.locate(row)}: the row of labels [{shown}] is not one-hot (a single 1, else 0), and so are "
            f"{len(wrong)} of {len(labels)}.",
            hint="Each image has one class. Of probabilities take the likeliest: labels.argmax(axis=1).",
        )
    places: Labels = labels.argmax(axis=1)
    return places


def number_labels(
    parts: Sequence[Part], names: Sequence[str] | None
) -> tuple[list[Labels], tuple[str, ...], dict[str, Any]]:
    """Number the classes from 0.

    With `names`, labels are positions in them, from 0 or from 1 to their number, or some of the names. Without, the
    classes are those that occur in training, in ascending order, called by what stands in the file; numbers that do not
    run from 0 without a gap are renumbered.

    Returns:
        labels of each part, label names, and a note where labels were renumbered.

    Raises:
        DataError: a label that is not a class; names the row.
    """
    if any(part.labels.dtype.kind in "US" for part in parts):
        texts = [_texts(part) for part in parts]
        if not all(np.char.isdecimal(values).all() for values in texts):
            return _number_texts(parts, texts, names)
        # Numbers that were written as text: 2 comes before 10.
        parts = [replace(part, labels=values.astype(np.int64)) for part, values in zip(parts, texts, strict=True)]
    numbers = [_whole(part) for part in parts]
    if names is not None:
        if min(int(n.min()) for n in numbers) == 1 and max(int(n.max()) for n in numbers) == len(names):
            note = {"labels": f"they run from 1 to {len(names)}, as many as there are names: 1 is {names[0]}"}
            return [values - 1 for values in numbers], tuple(names), note
        problem = f"is out of range; there are {len(names)} label names, so labels run from 0 to {len(names) - 1}."
        for part, values in zip(parts, numbers, strict=True):
            _refuse(part, values, values >= len(names), problem, hint=_CORRECT_NAMES)
        return numbers, tuple(names), {}
    classes = np.unique(numbers[0])
    _check_classes(parts, numbers, classes)
    label_names = tuple(str(c) for c in classes.tolist())
    if np.array_equal(classes, np.arange(len(classes))):
        return numbers, label_names, {}
    mapping = {str(old): new for new, old in enumerate(classes.tolist())}
    return [np.searchsorted(classes, v).astype(np.int64) for v in numbers], label_names, {"relabelled": mapping}


def _texts(part: Part) -> Array:
    """Labels as text.

    Raises:
        DataError: bytes that are not UTF-8.
    """
    if part.labels.dtype.kind != "S":
        return part.labels.astype(str)
    try:
        return np.char.decode(part.labels, "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{part.locate(0)}, or one after it: a label is not UTF-8 text ({error.reason}).",
            hint="Convert the labels where they come from: labels.astype(str).",
        ) from error


def _number_texts(
    parts: Sequence[Part], texts: Sequence[Array], names: Sequence[str] | None
) -> tuple[list[Labels], tuple[str, ...], dict[str, Any]]:
    if names is None:
        classes = np.unique(texts[0])
        _check_classes(parts, texts, classes)
        return [np.searchsorted(classes, t).astype(np.int64) for t in texts], tuple(map(str, classes)), {}
    number = {name: i for i, name in enumerate(names)}
    problem = f"is none of the {len(names)} label names: {_first_ten(names)}."
    for part, values in zip(parts, texts, strict=True):
        _refuse(part, values, ~np.isin(values, list(names)), problem, hint=_CORRECT_NAMES, quoted=True)
    return [np.array([number[str(t)] for t in values], np.int64) for values in texts], tuple(names), {}


def _whole(part: Part) -> Labels:
    labels = part.labels.reshape(-1)
    if labels.dtype.kind not in "biuf":
        raise DataError(f"{part.locate(0)}: labels are of type {labels.dtype}; supported are whole numbers and text.")
    problem = "is out of range; labels are whole numbers from 0."
    if labels.dtype.kind == "f":
        _refuse(part, labels, ~(np.isfinite(labels) & (np.rint(labels) == labels)), problem, hint=_CORRECT_ROW)
    _refuse(part, labels, (labels < 0) | (labels > np.iinfo(np.int32).max), problem, hint=_CORRECT_ROW)
    return labels.astype(np.int64)


def _refuse(part: Part, labels: Array, wrong: Array, problem: str, *, hint: str, quoted: bool = False) -> None:
    """Raise an error for the first label that is wrong, bool `[N]`; `problem` follows "label 7" in the message."""
    rows = np.flatnonzero(wrong)
    if len(rows):
        row = int(rows[0])
        shown = repr(str(labels[row])) if quoted else str(labels[row])
        raise DataError(f"{part.locate(row)}: label {shown} {problem}", hint=hint)


def _first_ten(names: Sequence[Any]) -> str:
    return ", ".join(map(str, names[:10])) + (" ..." if len(names) > 10 else "")


def _check_classes(parts: Sequence[Part], labels: Sequence[Array], classes: Array) -> None:
    """A class of one image is a slip, and one that training lacks cannot be learned."""
    values, first, counts = np.unique(labels[0], return_index=True, return_counts=True)
    lone = np.flatnonzero(counts == 1)
    if len(lone):
        row = int(first[lone[0]])
        raise DataError(
            f"{parts[0].locate(row)}: label {values[lone[0]]!s} is out of range or occurs only here: of the "
            f"{len(values)} classes, {len(lone)} {'has' if len(lone) == 1 else 'have'} a single image.",
            hint="Correct the label, or give the class a second image: one to learn from, one to test with.",
        )
    problem = f"does not occur in training, which has {len(classes)} classes: {_first_ten(classes.tolist())}."
    for part, given in zip(parts[1:], labels[1:], strict=True):
        _refuse(part, given, ~np.isin(given, classes), problem, hint=_CORRECT_ROW)
