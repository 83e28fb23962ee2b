"""CSV files, one image a row: a label column and a column for each pixel, as Kaggle hands them out."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_fm.data.raw import Array, Part, Raw, Shape, assemble, describe_file, read_names
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.progress import ProgressFn

_LABEL_COLUMNS = ("label", "labels", "class", "target", "y")
_CHUNK = 2048
_MAX_LINE = 16 << 20
_FLOAT_SIGNS = ".eEnN"


def read_csv(path: Path, *, shape: Shape | None, progress: ProgressFn) -> Raw:
    """Read one CSV file; see `edge_fm.data.sources.load_dataset`.

    The label column is the one that the header calls label, class, target or y, else the first. Labels are whole
    numbers or text.

    Raises:
        DataError: names the line and the column.
    """
    names = read_names(path.parent)
    return assemble(_read(path, progress), None, shape=shape, names=names, files={path.name: describe_file(path)})


def read_csv_pair(train: Path, test: Path, *, shape: Shape | None, progress: ProgressFn) -> Raw:
    """Read a training and a test file; see `read_csv`."""
    files = {path.name: describe_file(path) for path in (train, test)}
    names = read_names(train.parent)
    return assemble(_read(train, progress), _read(test, progress), shape=shape, names=names, files=files)


def find_csv_pair(folder: Path) -> tuple[Path, Path] | None:
    """The training and the test file of a folder with two CSV files, told apart by their names."""
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() == ".csv" and p.is_file())
    train = [p for p in found if "train" in p.stem.lower()]
    test = [p for p in found if "test" in p.stem.lower()]
    return (train[0], test[0]) if len(found) == 2 and len(train) == len(test) == 1 and train != test else None


@dataclass(frozen=True)
class _Layout:
    path: Path
    delimiter: str
    columns: int
    label: int
    header: bool

    def where(self, line: int) -> str:
        return f"{self.path}, line {line}"


def _read(path: Path, progress: ProgressFn) -> Part:
    size = path.stat().st_size
    stage = f"Reading {path.name}"
    labels: list[str] = []
    lines: list[int] = []
    blocks: list[Array] = []
    try:
        with path.open("rb") as binary, io.TextIOWrapper(binary, encoding="utf-8-sig", newline=None) as stream:
            layout: _Layout | None = None
            for chunk in _chunks(stream, path):
                layout = layout or _find_layout(path, chunk)
                rows = [(number, text) for number, text in chunk if text]
                if layout.header and rows and not blocks and rows[0][0] == chunk[0][0]:
                    rows = rows[1:]
                if rows:
                    block, found = _parse(rows, layout)
                    blocks.append(block)
                    labels += found
                    lines += [number for number, _ in rows]
                progress(stage, binary.tell(), size)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is no CSV file: it is not UTF-8 text ({error.reason} at byte {error.start})."
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    if layout is None:
        raise DataError(f"{path} is empty.", hint="A CSV has one row for each image: a label and its pixels.")
    if not blocks:
        raise DataError(f"{path} has a header but no rows.", hint="Add one row for each image: a label and its pixels.")
    images = (
        np.concatenate([b.astype(np.float32) for b in blocks])
        if len({b.dtype for b in blocks}) > 1
        else np.concatenate(blocks)
    )
    return Part(images, _labels(labels, lines, layout), lambda row: layout.where(lines[row]))


def _chunks(stream: io.TextIOWrapper, path: Path) -> Iterator[list[tuple[int, str]]]:
    """Numbered lines without their ends, some thousand at a time; line numbers count from 1."""
    chunk: list[tuple[int, str]] = []
    number = 0
    while line := stream.readline(_MAX_LINE):
        number += 1
        if len(line) >= _MAX_LINE:
            raise DataError(f"{path}, line {number} is longer than {_MAX_LINE} characters.", hint="Is it a CSV file?")
        chunk.append((number, line.strip()))
        if len(chunk) >= _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _find_layout(path: Path, chunk: list[tuple[int, str]]) -> _Layout:
    first = next(((number, text) for number, text in chunk if text), None)
    if first is None:
        raise DataError(f"{path} begins with {len(chunk)} empty lines.", hint="Is it a CSV file?")
    text = first[1]
    delimiter = max(",;\t", key=text.count)
    cells = _cells(text, delimiter)
    if len(cells) < 2:
        raise DataError(
            f"{path}, line {first[0]} has a single column: {text[:60]!r}.",
            hint="A row is a label and its pixels, with commas between them.",
        )
    lowered = [cell.lower() for cell in cells]
    named = [lowered.index(name) for name in _LABEL_COLUMNS if name in lowered]
    header = bool(named) or sum(not _is_number(cell) for cell in cells) > 1
    if header:
        chunk[:] = chunk[chunk.index(first) :]
    return _Layout(path, delimiter, len(cells), named[0] if named else 0, header)


def _cells(text: str, delimiter: str) -> list[str]:
    if '"' not in text:
        return [cell.strip() for cell in text.split(delimiter)]
    return [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter))]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _parse(rows: list[tuple[int, str]], layout: _Layout) -> tuple[Array, list[str]]:
    """The pixels of some rows, as uint8 where they are whole numbers of 0..255, and their labels."""
    labels, texts = [], []
    for number, text in rows:
        if layout.label == 0 and '"' not in text:  # the usual case, without making a string of each cell
            columns = text.count(layout.delimiter) + 1
            label, _, pixels = text.partition(layout.delimiter)
        else:
            cells = _cells(text, layout.delimiter)
            columns = len(cells)
            label = cells.pop(layout.label) if layout.label < columns else ""
            pixels = layout.delimiter.join(cells)
        if columns != layout.columns:
            raise DataError(
                f"{layout.where(number)} has {columns} columns; the first line has {layout.columns}.",
                hint="Each row is a label and one column for each pixel: correct the row, or leave it out.",
            )
        labels.append(label.strip())
        texts.append(pixels)
    if not any(sign in text for sign in _FLOAT_SIGNS for text in texts):
        try:
            whole = np.loadtxt(texts, delimiter=layout.delimiter, dtype=np.int16, ndmin=2, comments=None)
        except ValueError:
            pass  # an empty cell, text, or a number too large: found and named below
        else:
            if whole.min() >= 0 and whole.max() <= 255:
                return whole.astype(np.uint8), labels
    try:
        return np.loadtxt(texts, delimiter=layout.delimiter, dtype=np.float32, ndmin=2, comments=None), labels
    except ValueError as error:
        for (number, _), text in zip(rows, texts, strict=True):
            for column, cell in enumerate(text.split(layout.delimiter)):
                if not _is_number(cell):
                    place = column + 1 + (column >= layout.label)
                    what = f"{cell.strip()[:40]!r}, which is no number" if cell.strip() else "empty"
                    raise DataError(
                        f"{layout.where(number)}: column {place} is {what}.",
                        hint="Pixels are numbers: correct the row, or leave it out.",
                    ) from error
        raise DataError(f"{layout.where(rows[0][0])} or one after it cannot be read: {error}.") from error


def _labels(texts: list[str], lines: list[int], layout: _Layout) -> Array:
    empty = next((line for text, line in zip(texts, lines, strict=True) if not text), None)
    if empty is not None:
        raise DataError(f"{layout.where(empty)}: the label is empty.", hint="Correct the row, or leave it out.")
    numeric = [_is_number(text) for text in texts]
    if all(numeric):
        return np.array([float(text) for text in texts])
    if sum(numeric) > 0.5 * len(texts):
        line = next(line for is_number, line in zip(numeric, lines, strict=True) if not is_number)
        text = texts[lines.index(line)]
        raise DataError(
            f"{layout.where(line)}: label {text[:40]!r} is no number, those of most other rows are.",
            hint="Correct the label, or leave the row out.",
        )
    return np.array(texts)
