"""CSV files, one image a row: a label column and a column for each pixel, as Kaggle hands them out."""

from __future__ import annotations

import codecs
import io
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from edge_fm.data.readers.csv_layout import Layout, find_csv_parts, find_layout, is_number, split_cells
from edge_fm.data.readers.raw import Raw, Shape, assemble, describe_file, read_names
from edge_fm.data.readers.split_names import ORDER, Array, Part, PartName, notes_of_parts
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.progress import ProgressFn

_CHUNK = 2048
_MAX_LINE = 16 << 20
_FLOAT_SIGNS = ".eEnN"


def read_csv(path: Path, *, shape: Shape | None, progress: ProgressFn) -> Raw:
    """Read one CSV file; see `edge_fm.data.sources.load_dataset`.

    The label column is the one that the header calls label, class, target or y, or the only one that is called unlike
    the others; without a header the first. A column that counts the rows is left out. Labels are whole numbers or text.

    Raises:
        DataError: names the line and the column.
    """
    part, layout = _read(path, shape, progress)
    notes = {} if layout.note is None else {"columns": layout.note}
    names = read_names(path.parent)
    return assemble({"train": part}, shape=shape, names=names, files={path.name: describe_file(path)}, notes=notes)


def find_csv_folder(folder: Path) -> dict[PartName, Path] | None:
    """The training, validation and test file of a folder, by their names; None where they are not there."""
    found = find_csv_parts(folder)
    parts: dict[PartName, Path] = {part: found[part][0] for part in ORDER if len(found.get(part, ())) == 1}
    alone = all(len(found[part]) == 1 for part in found if part)
    return parts if alone and "train" in parts and len(parts) > 1 else None


def read_csv_folder(parts: Mapping[PartName, Path], *, shape: Shape | None, progress: ProgressFn) -> Raw:
    """Read a training file and a validation or a test file; see `read_csv`."""
    folder = parts["train"].parent
    read = {part: _read(path, shape, progress) for part, path in parts.items()}
    notes: dict[str, str] = notes_of_parts(
        {part: path.name for part, path in parts.items()}, {part: len(one.images) for part, (one, _) in read.items()}
    )
    column_notes = dict.fromkeys(layout.note for _, layout in read.values() if layout.note is not None)
    if column_notes:
        notes["columns"] = "; ".join(column_notes)
    if unread := find_csv_parts(folder).get(""):
        notes["not_read"] = ", ".join(path.name for path in unread)
    return assemble(
        {part: one for part, (one, _) in read.items()},
        shape=shape,
        names=read_names(folder),
        files={path.name: describe_file(path) for path in parts.values()},
        notes=notes,
    )


def _read(path: Path, shape: Shape | None, progress: ProgressFn) -> tuple[Part, Layout]:
    size = path.stat().st_size
    stage = f"Reading {path.name}"
    labels: list[str] = []
    lines: list[int] = []
    blocks: list[Array] = []
    encoding = "utf-8-sig"
    try:
        with path.open("rb") as binary:
            if binary.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):  # as spreadsheets save "Unicode text"
                encoding = "utf-16"
        with path.open("rb") as binary, io.TextIOWrapper(binary, encoding=encoding, newline=None) as stream:
            layout: Layout | None = None
            for chunk in _chunks(stream, path):
                layout = layout or find_layout(path, chunk, shape)
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
            f"{path} is not a CSV file: it is not UTF-8 text ({error.reason} at byte {error.start}).",
            hint="Save it as UTF-8.",
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
    return Part(images, _labels(labels, lines, layout), lambda row: layout.where(lines[row])), layout


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


def _parse(rows: list[tuple[int, str]], layout: Layout) -> tuple[Array, list[str]]:
    """The pixels of some rows, as uint8 where they are whole numbers of 0..255, and their labels."""
    labels, texts = [], []
    for number, text in rows:
        if layout.plain and '"' not in text:  # the usual case, without making a string of each cell
            columns = text.count(layout.delimiter) + 1
            label, _, pixels = text.partition(layout.delimiter)
        else:
            cells = split_cells(text, layout.delimiter)
            columns = len(cells)
            label = cells[layout.label] if layout.label < columns else ""
            pixels = layout.delimiter.join(cells[i] for i in layout.pixels if i < columns)
        if columns != layout.columns:
            raise DataError(
                f"{layout.where(number)} has {columns} columns; the first line has {layout.columns}.",
                hint="Each row is a label and one column for each pixel: correct the row, or leave it out.",
            )
        labels.append(label.strip())
        texts.append(pixels)
    if not any(sign in text for sign in _FLOAT_SIGNS for text in texts):
        try:
            whole = _numbers(texts, layout, np.int16)
        except ValueError:
            pass  # an empty cell, text, or a number too large: found and named below
        else:
            if whole.min() >= 0 and whole.max() <= 255:
                return whole.astype(np.uint8), labels
    try:
        return _numbers(texts, layout, np.float32), labels
    except ValueError as error:
        for (number, _), text in zip(rows, texts, strict=True):
            for column, cell in enumerate(text.split(layout.delimiter)):
                if not is_number(cell):
                    place = layout.pixels[column] + 1
                    what = f"{cell.strip()[:40]!r}, which is not a number" if cell.strip() else "empty"
                    raise DataError(
                        f"{layout.where(number)}: column {place} is {what}.",
                        hint="Pixels are numbers: correct the row, or leave it out.",
                    ) from error
        raise DataError(f"{layout.where(rows[0][0])} or one after it cannot be read: {error}.") from error


def _numbers(texts: list[str], layout: Layout, dtype: type[np.int16 | np.float32]) -> Array:
    """The numbers of some rows, `[rows, pixels]`.

    Raises:
        ValueError: a cell holds none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of rows without data, which are an error here
        read = np.loadtxt(texts, delimiter=layout.delimiter, dtype=dtype, ndmin=2, comments=None)
    if len(read) != len(texts) or not read.size:
        raise ValueError("a row holds no numbers")
    return read


def _labels(texts: list[str], lines: list[int], layout: Layout) -> Array:
    empty = next((line for text, line in zip(texts, lines, strict=True) if not text), None)
    if empty is not None:
        raise DataError(f"{layout.where(empty)}: the label is empty.", hint="Correct the row, or leave it out.")
    numeric = [is_number(text) for text in texts]
    if all(numeric):
        return np.array([float(text) for text in texts])
    if sum(numeric) > 0.5 * len(texts):
        line = next(line for is_number, line in zip(numeric, lines, strict=True) if not is_number)
        text = texts[lines.index(line)]
        raise DataError(
            f"{layout.where(line)}: label {text[:40]!r} is not a number, those of most other rows are.",
            hint="Correct the label, or leave the row out.",
        )
    return np.array(texts)
