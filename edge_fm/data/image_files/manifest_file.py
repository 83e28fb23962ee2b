"""Read a table of images, CSV or JSON Lines, as text, and tell which of its columns is what."""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_fm.data.readers.csv_layout import FILE_COLUMN, LABEL_COLUMNS
from edge_fm_runtime.errors import DataError

JSONL_SUFFIXES = frozenset({".jsonl", ".ndjson"})
MANIFEST_SUFFIXES = frozenset({".csv", ".tsv", ".txt", *JSONL_SUFFIXES})

_PATHS = re.compile(
    r"(file|picture|image|img|photo)?[ _-]?(path|name|file)?s?|relative[ _-]?path|location", re.IGNORECASE
)
_SPLITS = ("split", "subset", "set", "part", "partition")
GROUP_COLUMN = "group"
_LOOKED_AT = 50
_MAX_LINE = 1 << 20
_NO_HEADER = ("file", "label")


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
        if choice:
            raise DataError(
                f"{self.path} has several columns of image files: {', '.join(choice)}.",
                hint="Keep one of them, called file.",
            )
        raise DataError(
            f"{self.path} has no column of image files. {self.named()}",
            hint="Name each image's file in a column called file, relative to the folder of this file.",
        )

    def label_column(self, wanted: str, *, taken: Sequence[str]) -> str:
        """The column of the labels.

        Args:
            wanted: its name, as the user gave it; empty to tell by the names.
            taken: columns that mean something else.

        Raises:
            DataError: it is not there, or several could be.
        """
        if wanted:
            return self.column(wanted, "label", "--label-column")
        free = [c for c in self.columns if c not in taken]
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

    def column(self, name: str, what: str, option: str) -> str:
        """A column that the user named.

        Raises:
            DataError: there is none of that name.
        """
        if name in self.columns:
            return name
        from difflib import get_close_matches

        near = get_close_matches(name, self.columns, n=1)
        raise DataError(
            f"{self.path} has no column {name!r} for the {what}. {self.named()}",
            hint=f"Did you mean {option} {near[0]}?" if near else f"Name one of them: {option} {self.columns[-1]}",
        )

    def split_column(self, *, taken: Sequence[str]) -> str | None:
        """The column that says which split an image is in; None where there is none."""
        found = [c for c in self.columns if c.lower() in _SPLITS and c not in taken]
        return next((c for c in found if c.lower() == "split"), found[0] if found else None)

    def _share_of_images(self, column: str) -> float:
        cells = [row[column] for row in self.rows[:_LOOKED_AT]]
        return sum(FILE_COLUMN.fullmatch(cell) is not None for cell in cells) / max(1, len(cells))


def is_manifest(path: Path) -> bool:
    """Whether a text file names image files."""
    if path.suffix.lower() in JSONL_SUFFIXES:
        return True
    try:
        text = _open_text(path, _MAX_LINE)
    except DataError:
        return False  # the reader of its kind says what is wrong with it
    lines = [line for line in text.splitlines()[:4] if line.strip()]
    delimiter = _delimiter(lines[0]) if lines else ","
    return any(FILE_COLUMN.fullmatch(cell.strip()) for row in csv.reader(lines, delimiter=delimiter) for cell in row)


def read_table(path: Path) -> Table:
    """Read a CSV file (also TSV, with semicolons, UTF-8 or UTF-16) or JSON Lines.

    Raises:
        DataError: it cannot be read; names the line.
    """
    text = _open_text(path)
    columns: dict[str, None] = {}
    rows, lines = [], []
    reader = _json_rows(text, path) if path.suffix.lower() in JSONL_SUFFIXES else _csv_rows(text, path)
    for line, row in reader:
        columns |= dict.fromkeys(row)
        rows.append(row)
        lines.append(line)
    if not rows:
        raise DataError(f"{path} names no images.", hint="Add a row for each: its file and its label.")
    for row, line in zip(rows, lines, strict=True):
        missing = [name for name in columns if name not in row]
        if missing:
            raise DataError(
                f"{path}, line {line} has no {missing[0]!r}, other lines have.", hint="Give every line the same keys."
            )
    return Table(path, tuple(columns), rows, lines)


def _open_text(path: Path, most: int = -1) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(most)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as spreadsheets save "Unicode text"
    try:
        return content.decode("utf-16" if wide else "utf-8-sig", "ignore" if most > 0 else "strict")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}).", hint="Save it as UTF-8."
        ) from error


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def _csv_rows(text: str, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    first = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(text.splitlines(keepends=True), delimiter=_delimiter(first), strict=True)
    names: list[str] | None = None
    try:
        for cells in reader:
            row = [cell.strip() for cell in cells]
            if not any(row):
                continue
            if names is None:
                names = _header(row, path)
                if names != row:  # there is none: this is a row
                    yield reader.line_num, dict(zip(names, row, strict=True))
                continue
            if len(row) != len(names):
                raise DataError(
                    f"{path}, line {reader.line_num} has {len(row)} columns; the header has {len(names)}.",
                    hint="Correct the row, or leave it out. A cell that holds the delimiter stands in quotes.",
                )
            yield reader.line_num, dict(zip(names, row, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num} cannot be read: {error}.", hint="Correct the row.") from error


def _header(row: Sequence[str], path: Path) -> list[str]:
    """The names of the columns."""
    if any(FILE_COLUMN.fullmatch(cell) for cell in row):
        if len(row) == len(_NO_HEADER) and FILE_COLUMN.fullmatch(row[0]):
            return list(_NO_HEADER)
        raise DataError(
            f"{path} begins with an image, {', '.join(row)[:100]}: its columns have no names.",
            hint="Add a first line that names them, such as: file,label",
        )
    names = [name or f"column {i + 1}" for i, name in enumerate(row)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path} has several columns called {', '.join(twice)}.", hint="Give each a name of its own.")
    return names


def _json_rows(text: str, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    for line, row in enumerate(text.split("\n"), start=1):
        if not row.strip():
            continue
        try:
            value: Any = json.loads(row)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{path}, line {line} is not JSON: {error}.",
                hint='Each line is an object, such as {"file": "a.jpg", "label": "cat"}.',
            ) from error
        if not isinstance(value, dict) or not all(isinstance(v, str | int | float) for v in value.values()):
            raise DataError(
                f"{path}, line {line} is not an object of texts and numbers: {row.strip()[:80]}",
                hint='Such as {"file": "a.jpg", "label": "cat"}.',
            )
        yield line, {str(key): str(cell).strip() for key, cell in value.items()}
