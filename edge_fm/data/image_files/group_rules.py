"""Which group each image belongs to: by a column, by a pattern of its path, or not at all."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_fm.data.image_files.listing import ImageFile
from edge_fm.data.image_files.manifest_file import MANIFEST_SUFFIXES, read_table
from edge_fm.data.image_files.manifest_table import column_called
from edge_fm.data.readers.split_names import PartName
from edge_fm_runtime.errors import DataError

NO_GROUPS = "none"
"""What a user gives who wants no groups, whatever the source has."""

HOW = (
    "A group is a column of a manifest (--group sender), a column of a file that lies in an image folder "
    "(--group index.csv:sender), or a pattern of the files' paths whose parentheses hold the group "
    "(--group '([^/_]+)_[^/]*$')."
)

Parts = dict[PartName, list[ImageFile]]


def is_pattern(group: str) -> bool:
    """Whether a group is given as a pattern: its parentheses hold the group."""
    return "(" in group


def groups_of_folder(
    folder: Path, parts: Mapping[PartName, list[ImageFile]], group: str
) -> tuple[Parts, dict[str, Any]]:
    """Give the images of a folder their groups, and a note of them.

    Args:
        folder: of the source.
        parts: its images.
        group: what `--group` takes.

    Raises:
        DataError: the groups are not to be had, or not for every image.
    """
    if group in ("", NO_GROUPS):
        return dict(parts), {}
    if is_pattern(group):
        return groups_by_pattern(parts, group)
    name, colon, column = group.rpartition(":")
    if not colon:
        raise DataError(f"{folder} is an image folder; it has no column {group!r}.", hint=_advice(folder, group))
    file = folder / name
    if not file.is_file():
        raise DataError(f"The groups are to come from {name}, but there is no file {file}.", hint=HOW)
    table = read_table(file)
    if column not in table.columns:
        raise DataError(f"{file} has no column {column!r}; it has {', '.join(table.columns)}.", hint=HOW)
    paths = table.path_column(group=column)
    known: dict[str, str] = {}
    for number, row in enumerate(table.rows):
        before = known.setdefault(_normalized(row[paths]), row[column])
        if before != row[column]:
            raise DataError(
                f"{table.where(number)}: {row[paths]} is of the group {row[column]!r} here and of {before!r} before.",
                hint="Each image is of one group: correct the row, or leave it out.",
            )

    def find(image_file: ImageFile) -> str | None:
        return known.get(image_file.name) or None

    missing = f"is not in {file.name}, or has no {column} there"
    return _with_groups(parts, find, missing, f"{column_called(column)} of {file.name}")


def groups_by_pattern(parts: Mapping[PartName, Sequence[ImageFile]], pattern: str) -> tuple[Parts, dict[str, Any]]:
    """Give images the groups that the parentheses of a pattern find in their paths.

    Raises:
        DataError: it is no regular expression with one pair of parentheses, or does not fit every path.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise DataError(f"The group {pattern!r} is not a regular expression: {error}.", hint=HOW) from error
    if compiled.groups != 1:
        raise DataError(
            f"The group {pattern!r} has {compiled.groups} pairs of parentheses; one holds the group.",
            hint=f"Write the others as (?:...). {HOW}",
        )

    def find(image_file: ImageFile) -> str | None:
        match = compiled.search(image_file.name)
        return match[1] or None if match else None

    return _with_groups(parts, find, f"does not fit the pattern {pattern}", f"pattern {pattern} of the path")


def note_of_groups(parts: Mapping[PartName, Sequence[ImageFile]], what: str) -> dict[str, Any]:
    """How many groups there are, and where they come from."""
    groups = {image_file.group for those in parts.values() for image_file in those}
    return {"groups": f"{len(groups):,}, {what}"}


def _with_groups(
    parts: Mapping[PartName, Sequence[ImageFile]], find: Callable[[ImageFile], str | None], missing: str, what: str
) -> tuple[Parts, dict[str, Any]]:
    found: Parts = {}
    without = []
    for part, image_files in parts.items():
        found[part] = []
        for image_file in image_files:
            group = find(image_file)
            if group is None:
                without.append(image_file.name)
            else:
                found[part].append(replace(image_file, group=group))
    if without:
        total = sum(map(len, parts.values()))
        raise DataError(
            f"{len(without):,} of the {total:,} images have no group: {without[0]} {missing}.",
            hint=f"Every image needs one. {HOW}",
        )
    return found, note_of_groups(found, what)


def _normalized(path: str) -> str:
    """A path of a table as the images of a folder are named."""
    return posixpath.normpath(path.replace("\\", "/"))


def _advice(folder: Path, column: str) -> str:
    """Name the file of the folder that has such a column."""
    for file in sorted(p for p in folder.iterdir() if p.suffix.lower() in MANIFEST_SUFFIXES and p.is_file()):
        try:
            columns = read_table(file).columns
        except DataError:
            continue  # no table of images: it cannot be what is meant
        if column in columns:
            return f"{file.name} in it has such a column: --group {file.name}:{column}, or read it: --data {file}"
    return HOW
