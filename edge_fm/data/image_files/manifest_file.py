"""Read a table of images, CSV or JSON Lines, as text."""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edge_fm.data.image_files.manifest_table import Table
from edge_fm.data.readers.csv_layout import FILE_COLUMN
from edge_fm_runtime.errors import DataError

JSONL_SUFFIXES = frozenset({".jsonl", ".ndjson"})
MANIFEST_SUFFIXES = frozenset({".csv", ".tsv", ".txt", *JSONL_SUFFIXES})

_MAX_LINE = 1 << 20
_NO_HEADER = ("file", "label")
_DECLARED = re.compile(r'"?sep=([^\w\s"]|\t)"?[;,]*', re.IGNORECASE)
"""The first line by which Excel is told what stands between the cells."""


def is_manifest(path: Path) -> bool:
    """Whether a text file names image files."""
    if path.suffix.lower() in JSONL_SUFFIXES:
        return True
    try:
        text = _open_text(path, _MAX_LINE)
    except DataError:
        return False  # the reader of its kind says what is wrong with it
    lines, delimiter = _csv_lines("".join(text.splitlines(keepends=True)[:5]))
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


def _csv_lines(text: str) -> tuple[list[str], str]:
    """The lines, and what stands between their cells; a line that declares it becomes an empty one, which counts."""
    lines = text.splitlines(keepends=True)
    if lines and (declared := _DECLARED.fullmatch(lines[0].rstrip("\r\n "))):
        return ["\n", *lines[1:]], declared[1]
    first = next((line for line in lines if line.strip()), "")
    return lines, max(",;\t", key=first.count)


def _csv_rows(text: str, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    lines, delimiter = _csv_lines(text)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    names: list[str] | None = None
    try:
        for cells in reader:
            row = [cell.strip() for cell in cells]
            if not any(row):
                continue
            if names is None:
                names = _header(row, path)
                if _names_an_image(row):  # there is no header: this is a row
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


def _names_an_image(row: Sequence[str]) -> bool:
    return any(FILE_COLUMN.fullmatch(cell) for cell in row)


def _header(row: Sequence[str], path: Path) -> list[str]:
    """The names of the columns."""
    if _names_an_image(row):
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
