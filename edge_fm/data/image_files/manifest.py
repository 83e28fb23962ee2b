"""A manifest: a CSV or JSON Lines file that names each image's file, its label and, where known, group and split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from os.path import normpath
from pathlib import Path
from typing import Any

import numpy as np

from edge_fm.data.image_files.group_rules import NO_GROUPS, groups_by_pattern, is_pattern, note_of_groups
from edge_fm.data.image_files.label_columns import label_columns, number_label_sets
from edge_fm.data.image_files.listing import ImageFile, Listing
from edge_fm.data.image_files.manifest_file import read_table
from edge_fm.data.image_files.manifest_table import GROUP_COLUMN, Table, column_called
from edge_fm.data.readers.class_numbers import number_labels
from edge_fm.data.readers.raw import read_names
from edge_fm.data.readers.split_names import DESCRIPTION, ORDER, PART_NAMES, Part, PartName, notes_of_parts
from edge_fm_runtime.errors import DataError


def list_manifest(path: Path, *, group: str = "", label_column: str = "", multi_label: bool = False) -> Listing:
    """List the images of a manifest; see `edge_fm.data.sources.load_dataset`.

    Paths are relative to the manifest's folder; absolute ones, and ones that lead out of it, are read too, and counted
    in a note.

    Args:
        path: the manifest.
        group: a column, or a pattern of the paths; empty for the column called group, if there is one.
        label_column: the column of the labels; empty to tell by the names.
        multi_label: read any number of labels for each image (see `label_columns`).

    Raises:
        DataError: columns that are missing or ambiguous, empty cells, files listed twice; names columns and lines.
    """
    table = read_table(path)
    column = _group_column(table, group, label_column)
    files = table.path_column(group=column, label=label_column)
    split = table.split_column(taken=(files, column, label_column))
    taken = [c for c in (files, column, split) if c]
    if multi_label:
        columns = label_columns(table, label_column, taken=taken, group=column)
        _check_rows(table, files, columns, column, empty_labels=True)
        labels, names = number_label_sets(table, columns)
        notes: dict[str, Any] = {}
    else:
        columns = (table.label_column(label_column, taken=taken, group=column),)
        _check_rows(table, files, columns, column)
        labels, names, notes = _labels(table, columns[0])
    parts: dict[PartName, list[ImageFile]] = {}
    folder = path.parent
    root = folder.resolve()
    outside = 0
    for number, row in enumerate(table.rows):
        part: PartName = "train" if split is None else _part(table, number, split)
        name = _name(row[files])
        outside += not (folder / name).resolve().is_relative_to(root)
        image_file = ImageFile(folder / name, int(labels[number]), name, row[column] if column else "")
        parts.setdefault(part, []).append(image_file)
    if split is not None:
        parts = _own_splits(path, split, parts, notes)
    _check_files(path, parts)
    unused = [c for c in table.columns if c not in (files, *columns, split, column)]
    notes["columns"] = (
        f"images are in {files}, labels in {', '.join(columns)}"
        + (f", splits in {split}" if split else "")
        + (f"; not used: {', '.join(unused)}" if unused else "")
    )
    if outside:
        notes["outside"] = f"{outside:,} images, which the manifest names by paths that lead out of its folder"
    if is_pattern(group) and not column:
        parts, found = groups_by_pattern(parts, group)
        notes |= found
    elif column:
        notes |= note_of_groups(parts, column_called(column))
    return Listing(path, names, parts, notes, "leave the class out.", multi_label)


def _name(cell: str) -> str:
    """The path that a cell names, as images of folders are named."""
    return cell.replace("\\", "/").removeprefix("./")


def _group_column(table: Table, group: str, label: str) -> str:
    """The column of the groups; empty where there is none."""
    if group == NO_GROUPS:
        return ""
    if not group:
        return next((c for c in table.columns if c.lower() == GROUP_COLUMN), "")
    if is_pattern(group) and group not in table.columns:
        return ""
    return table.group_column(group, label=label)


def _check_rows(table: Table, files: str, labels: Sequence[str], group: str, *, empty_labels: bool = False) -> None:
    """Refuse empty cells, but for labels where images may have none, and files that are listed twice."""
    needed = () if empty_labels else labels
    folder = table.path.parent.absolute()
    first: dict[str, int] = {}
    for number, row in enumerate(table.rows):
        for column, what in ((files, "file"), *((label, "label") for label in needed), (group, "group")):
            if column and not row[column]:
                raise DataError(
                    f"{table.where(number)}: the {what} ({column_called(column)}) is empty.",
                    hint="Fill it in, or leave the row out."
                    + (" To read the source without groups: --group none" if what == "group" else ""),
                )
        # One file may be spelled in several ways: a/b.jpg, ./a/b.jpg, x/../a/b.jpg, or from the root.
        before = first.setdefault(normpath(folder / _name(row[files])), number)
        if before != number:
            theirs, ours = (", ".join(cells[c] for c in labels) for cells in (table.rows[before], row))
            spelled = table.rows[before][files]
            raise DataError(
                f"{table.where(number)}: {row[files]} was listed before, in line {table.lines[before]}"
                + ("" if spelled == row[files] else f" ({spelled})")
                + ("." if theirs == ours else f", as {theirs}; here it is {ours}."),
                hint="List each image once: leave one of the rows out.",
            )


def _labels(table: Table, label: str) -> tuple[Any, tuple[str, ...], dict[str, Any]]:
    """Class numbers from 0, the classes' names, and a note where numbers were given others."""
    texts = np.array([row[label] for row in table.rows])
    part = Part(texts, texts, table.where)
    (labels,), names, notes = number_labels([part], read_names(table.path.parent))
    return labels, names, notes


def _part(table: Table, number: int, split: str) -> PartName:
    value = table.rows[number][split]
    part = PART_NAMES.get(value.lower())
    if part is None:
        raise DataError(
            f"{table.where(number)}: the split ({column_called(split)}) is {value!r}; splits are called {DESCRIPTION}.",
            hint="Correct it, or leave the row out.",
        )
    return part


def _own_splits(
    path: Path, split: str, parts: dict[PartName, list[ImageFile]], notes: dict[str, Any]
) -> dict[PartName, list[ImageFile]]:
    """The splits that the manifest names, in their order."""
    counts = Counter({part: len(those) for part, those in parts.items()})
    if "train" not in parts:
        raise DataError(
            f"{path} has no training images: its {column_called(split)} says {', '.join(counts)} alone.",
            hint="Name the training images too, with train in that column.",
        )
    parts = {part: parts[part] for part in ORDER if part in parts}
    if len(parts) > 1:
        notes |= notes_of_parts({part: f"{split} = {part}" for part in parts}, counts)
    return parts


def _check_files(path: Path, parts: dict[PartName, list[ImageFile]]) -> None:
    """Refuse a manifest of which no file is there, as it lies in the wrong folder; single ones are unreadable later."""
    image_files = [image_file for those in parts.values() for image_file in those]
    if not any(image_file.path.exists() for image_file in image_files[:1000]) and not any(
        p.path.exists() for p in image_files
    ):
        raise DataError(
            f"None of the {len(image_files):,} images that {path} names is there, such as {image_files[0].path}.",
            hint=f"Paths are relative to the manifest's folder, {path.parent}: put it beside the images, or give "
            "absolute paths.",
        )
