"""The rows of a table of images, and which of its columns is what."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_fm.data.readers.csv_layout import FILE_COLUMN, LABEL_COLUMNS
from edge_fm_runtime.errors import DataError

_PATHS = re.compile(
    r"(file|picture|image|img|photo)?[ _-]?(path|name|file)?s?|relative[ _-]?path|location", re.IGNORECASE
)
_SPLITS = ("split", "subset", "set", "part", "partition")
GROUP_COLUMN = "group"
_LOOKED_AT = 50


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of named cells.

    Attributes:
        path: the file.
        columns: their names.
        rows: of each row its cells, stripped, by column.
        lines: of each row the line of the file that it ends on, from 1.
    """

    path: Path
    columns: tuple[str, ...]
    rows: Sequence[dict[str, str]]
    lines: Sequence[int]

    def where(self, row: int) -> str:
        """Where a row stands, for messages."""
        return f"{self.path}, line {self.lines[row]}"

    def named(self) -> str:
        """The columns, for messages."""
        return f"Its columns are {', '.join(self.columns)}."

    def path_column(self, *, group: str = "", label: str = "") -> str:
        """The column of the images' paths.

        Args:
            group: column of the groups, which it is not.
            label: column of the labels, which it is not.

        Raises:
            DataError: no column is, or several could be.
        """
        others = [c for c in self.columns if c not in (group, label)]
        looks = [c for c in others if self._share_of_images(c) > 0.5]
        called = [c for c in looks if _PATHS.fullmatch(c)]
        choice = called if len(called) == 1 else looks
        if len(choice) == 1:
            return choice[0]
        if not choice and group and self._share_of_images(group) > 0.5:
            raise DataError(
                f"{self.path}: the column {group} is named as the group; it holds the image files, and no other "
                "column does.",
                hint="Name another column as the group, or read the source without groups: --group none",
            )
        if choice:
            raise DataError(
                f"{self.path} has several columns of image files: {', '.join(choice)}.",
                hint="Keep one of them, called file.",
            )
        raise DataError(
            f"{self.path} has no column of image files. {self.named()}",
            hint="Name each image's file in a column called file, relative to the folder of this file.",
        )

    def label_column(self, wanted: str, *, taken: Sequence[str], group: str = "") -> str:
        """The column of the labels.

        Args:
            wanted: its name, as the user gave it; empty to tell by the names.
            taken: columns that mean something else.
            group: the one of them that holds the groups; empty for none.

        Raises:
            DataError: it is not there, several could be, or it is named as the column of the groups.
        """
        free = [c for c in self.columns if c not in taken]
        if group and (wanted == group or (not wanted and not free)):
            raise DataError(
                f"{self.path}: the column {group} is named as the group; no other column is left for the label.",
                hint=self.group_hint(label=group),
            )
        if wanted:
            called = [c for c in free if c.lower() in LABEL_COLUMNS]
            return self.named_label(wanted, called or free)
        called = [c for c in free if c.lower() in LABEL_COLUMNS]
        choice = called or free
        if len(choice) == 1:
            return choice[0]
        if not choice:
            raise DataError(f"{self.path} has no column of labels. {self.named()}", hint="Add one, called label.")
        which = f"{', '.join(choice)} could each be the label" if called else "none of them is called label or class"
        raise DataError(
            f"{self.path}: which column is the label? {self.named()[:-1]}; {which}.",
            hint=f"Name it: --label-column {choice[0]}   (in a recipe: label_column = {json.dumps(choice[0])} under "
            "[data])",
        )

    def column(self, name: str, what: str, hint: str) -> str:
        """A column that the user named.

        Args:
            name: as the user gave it.
            what: it holds, for the message.
            hint: what to do where it is not there.

        Raises:
            DataError: there is none of that name.
        """
        if name in self.columns:
            return name
        raise DataError(
            f"{self.path} has no column {name!r} for the {what}. {self.named()}",
            hint=hint,
        )

    def named_label(self, name: str, free: Sequence[str]) -> str:
        """The column of labels that the user named; `free` are those that it could be, of which a hint names one."""
        option = "--label-column"
        return self.column(name, "label", _name_one(name, option, free) or f"Add it, and name it: {option} NAME")

    def group_column(self, name: str, *, label: str) -> str:
        """The column of the groups, which the user named.

        Args:
            name: as the user gave it.
            label: columns of the labels, as the user gave them, with commas between; empty to tell by the names.

        Raises:
            DataError: there is none of that name.
        """
        return self.column(name, "groups", self.group_hint(name, label=label))

    def group_hint(self, name: str = "", *, label: str) -> str:
        """Which column could hold the groups; where none can, how to go without groups.

        Args:
            name: what the user called it; empty for no such column.
            label: as for `group_column`.
        """
        labels = label.split(",") if label else [c for c in self.columns if c.lower() in LABEL_COLUMNS]
        free = [
            c for c in self.columns if c not in labels and c.lower() not in _SPLITS and self._share_of_images(c) <= 0.5
        ]
        if not labels and len(free) == 1:
            free = []  # it is the label
        how = _name_one(name, "--group", free) or "No column is left to hold groups."
        return f"{how}   (without groups: --group none)"

    def split_column(self, *, taken: Sequence[str]) -> str | None:
        """The column that says which split an image is in; None where there is none."""
        found = [c for c in self.columns if c.lower() in _SPLITS and c not in taken]
        return next((c for c in found if c.lower() == "split"), found[0] if found else None)

    def _share_of_images(self, column: str) -> float:
        cells = [row[column] for row in self.rows[:_LOOKED_AT]]
        return sum(FILE_COLUMN.fullmatch(cell) is not None for cell in cells) / max(1, len(cells))


def _name_one(name: str, option: str, columns: Sequence[str]) -> str:
    """The hint of a column that is there, most like `name`; empty where there are no columns."""
    from difflib import get_close_matches

    near = get_close_matches(name, columns, n=1)
    if near:
        return f"Did you mean {option} {shlex.quote(near[0])}?"
    return f"Name one of them: {option} {shlex.quote(columns[-1])}" if columns else ""


def column_called(name: str) -> str:
    """A column for messages; one without a name is called by its number.

    Example:
        >>> column_called("sender"), column_called("column 2")
        ('column sender', 'column 2')
    """
    return name if re.fullmatch(r"column \d+", name) else f"column {name}"
