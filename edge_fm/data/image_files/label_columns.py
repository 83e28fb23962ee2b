"""The labels of a multi-label manifest: several in one column, or a column of 0 and 1 for each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_fm.data.image_files.manifest_file import MANIFEST_SUFFIXES, is_manifest
from edge_fm.data.image_files.manifest_table import Table, column_called
from edge_fm.data.label_sets import SEPARATOR, join_labels
from edge_fm_runtime.errors import DataError

_YES, _NO = ("1", "1.0", "true"), ("0", "0.0", "false")


def require_manifest(path: Path, source: str) -> None:
    """Refuse a source that cannot say which labels an image has.

    Raises:
        DataError: it is no manifest.
    """
    if not (path.is_file() and path.suffix.lower() in MANIFEST_SUFFIXES and is_manifest(path)):
        raise DataError(
            f"{source} is no manifest, and the images of a multi-label model get their labels from one.",
            hint="Name a CSV or JSONL file with a row for each image: its file, and its labels, as cat|dog or "
            "in a column of 0 and 1 for each label.",
        )


def label_columns(table: Table, wanted: str, *, taken: Sequence[str], group: str = "") -> tuple[str, ...]:
    """The columns of the labels: one, or several that `wanted` names with commas between.

    Raises:
        DataError: one is not there, or is named twice, or which it is cannot be told.
    """
    if "," not in wanted or wanted in table.columns:
        return (table.label_column(wanted, taken=taken, group=group),)
    names = tuple(name.strip() for name in wanted.split(","))
    free = [c for c in table.columns if c not in (*taken, *names)]
    columns = tuple(table.named_label(name, free) for name in names)
    if len(set(columns)) < len(columns):
        raise DataError(f"The label columns {wanted} name one twice.", hint="Name each once.")
    for column in columns:
        if SEPARATOR in column:
            raise DataError(f"The column {column!r} cannot name a label: {SEPARATOR} stands between labels.")
    return columns


def number_label_sets(table: Table, columns: Sequence[str]) -> tuple[Any, tuple[str, ...]]:
    """Class numbers int64 `[N]` of the rows, and the classes: each set of labels that occurs (see `label_sets`).

    Raises:
        DataError: a cell cannot be read, or fewer than two labels occur; names the line.
    """
    read = _separated if len(columns) == 1 else _marked
    texts = [read(table, number, columns) for number in range(len(table.rows))]
    names, numbers = np.unique(np.array(texts), return_inverse=True)
    labels = {label for name in names.tolist() for label in name.split(SEPARATOR) if label}
    if len(labels) < 2:
        raise DataError(
            f"{table.path} has {len(labels)} {'label' if len(labels) == 1 else 'labels'} in "
            f"{', '.join(columns)}; a multi-label model takes at least two.",
            hint="Name the labels of an image with | between, such as cat|dog, or name a column of 0 and 1 for each: "
            "--label-column cat,dog",
        )
    return numbers.astype(np.int64).reshape(-1), tuple(names.tolist())


def _separated(table: Table, number: int, columns: Sequence[str]) -> str:
    cell = table.rows[number][columns[0]]
    parts = [part.strip() for part in cell.split(SEPARATOR)] if cell else []
    if not all(parts):
        raise DataError(
            f"{table.where(number)}: an empty label in {cell!r} ({column_called(columns[0])}).",
            hint="Labels stand with | between, such as cat|dog; the cell of an image without labels is empty.",
        )
    return join_labels(parts)


def _marked(table: Table, number: int, columns: Sequence[str]) -> str:
    row = table.rows[number]
    for column in columns:
        if row[column].lower() not in (*_YES, *_NO):
            raise DataError(
                f"{table.where(number)}: {column_called(column)} is {row[column]!r}; columns of labels hold 0 or 1.",
                hint="Correct the cell. One column with all labels of an image, such as cat|dog, does as well.",
            )
    return join_labels([column for column in columns if row[column].lower() in _YES])
