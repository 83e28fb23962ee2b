"""Which column of a CSV file is the label, which are pixels, and which only count the rows."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_fm.data.readers.raw import Shape, square
from edge_fm.data.readers.split_names import PART_NAMES
from edge_fm_runtime.errors import DataError

LABEL_COLUMNS = ("label", "labels", "class", "class_name", "classname", "category", "target", "targets", "y")
_COUNTERS = ("", "unnamed: 0", "index", "idx", "id", "imageid", "image_id", "row", "row_id", "rownames", "#")
FILE_COLUMN = re.compile(r".+\.(jpe?g|png|gif|bmp|webp|tiff?|avif|heic|heif|ppm|pgm)", re.IGNORECASE)
_LOOKED_AT = 200
_SHOWN = 5


@dataclass(frozen=True)
class Layout:
    """What the columns of a file are.

    Attributes:
        path: the file.
        delimiter: between cells.
        columns: how many there are.
        label: position of the label.
        pixels: positions of the pixels.
        header: whether the first line names the columns.
        note: what a person should know, or None where the label is called so or comes first and all else is pixels.
    """

    path: Path
    delimiter: str
    columns: int
    label: int
    pixels: tuple[int, ...]
    header: bool
    note: str | None = None

    @property
    def plain(self) -> bool:
        """Whether the label comes first and all else is pixels."""
        return self.label == 0 and len(self.pixels) == self.columns - 1

    def where(self, line: int) -> str:
        """Where a line stands, for messages."""
        return f"{self.path}, line {line}"


def find_layout(path: Path, chunk: list[tuple[int, str]], shape: Shape | None) -> Layout:
    """Tell the columns by the header, else by the values of the first lines.

    Args:
        path: the file.
        chunk: its first lines, numbered; empty ones before the header are taken out.
        shape: of the images, where it was asked for.

    Raises:
        DataError: there is no label column, or columns that are neither label nor pixels; names them.
    """
    first = next(((number, text) for number, text in chunk if text), None)
    if first is None:
        raise DataError(f"{path} begins with {len(chunk)} empty lines.", hint="Is it a CSV file?")
    text = first[1]
    delimiter = max(",;\t", key=text.count)
    cells = split_cells(text, delimiter)
    if len(cells) < 2:
        raise DataError(
            f"{path}, line {first[0]} has a single column: {text[:60]!r}.",
            hint="A row is a label and its pixels, with commas between them.",
        )
    rows = [split_cells(line, delimiter) for _, line in chunk if line][: _LOOKED_AT + 1]
    _refuse_file_names(path, rows)
    lowered = [cell.lower() for cell in cells]
    # As pandas names the columns of an array.
    numbered = len(cells) > 2 and cells in (_count(0, len(cells)), ["", *_count(0, len(cells) - 1)])
    header = numbered or any(n in LABEL_COLUMNS for n in lowered) or sum(not is_number(cell) for cell in cells) > 1
    if header:
        chunk[:] = chunk[chunk.index(first) :]
        rows = rows[1:]
    rows = [row for row in rows if len(row) == len(cells)]
    firsts = [line.partition(delimiter)[0].strip(' "') for _, line in chunk[header:] if line]
    by_name = _by_header(path, cells, shape) if header and not numbered else None
    label, dropped, note = by_name or _by_values(path, rows, len(cells), shape, header, counts=_is_counter(firsts))
    pixels = tuple(i for i in range(len(cells)) if i != label and i not in dropped)
    if rows and not any(is_number(row[i]) for row in rows for i in pixels):
        raise DataError(
            f"{path} has no column of pixels, which are numbers, and none that names image files; its columns are "
            f"{_named(cells, range(len(cells)))}.",
            hint="Where a column names image files, write them with their suffix, such as photos/cat.jpg; for images "
            "in the file itself, add a column for each pixel.",
        )
    return Layout(path, delimiter, len(cells), label, pixels, header, note)


def split_cells(text: str, delimiter: str) -> list[str]:
    """The cells of one line."""
    if '"' not in text:
        return [cell.strip() for cell in text.split(delimiter)]
    return [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter))]


def is_number(cell: str) -> bool:
    """Whether a cell holds a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def find_csv_parts(folder: Path) -> dict[str, list[Path]]:
    """The CSV files of a folder that are called after a part, by part; files that are not are under ""."""
    found: dict[str, list[Path]] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() == ".csv" and p.is_file()):
        stem = path.stem.lower()
        words = {PART_NAMES[word] for word in re.split(r"[^a-z]+", stem) if word in PART_NAMES}
        words = words or {part for part in ("train", "test") if part in stem}
        found.setdefault(words.pop() if len(words) == 1 else "", []).append(path)
    return found


_Found = tuple[int, tuple[int, ...], str | None]


def _by_header(path: Path, cells: Sequence[str], shape: Shape | None) -> _Found | None:
    """Label and left out columns as the header's names have it; None where they do not show them."""
    lowered = [cell.lower() for cell in cells]
    labels = [i for i, name in enumerate(lowered) if name in LABEL_COLUMNS]
    others = [i for i in _unlike_pixels(lowered) if i not in labels]
    counters = tuple(i for i in others if lowered[i] in _COUNTERS)
    unknown = [i for i in others if i not in counters]
    if len(labels) > 1:
        raise DataError(
            f"{path} has the columns {_named(cells, labels)}, each of which could be the label.",
            hint="Call one of them label, and remove the others.",
        )
    if labels and not unknown:
        note = f"the label is {_named(cells, labels)}"
        return labels[0], counters, f"{note}; {_left_out(cells, counters)}" if counters else None
    if not labels and len(unknown) == 1:
        note = f"{_named(cells, unknown)} is taken for the label"
        return unknown[0], counters, f"{note}; {_left_out(cells, counters)}" if counters else note
    if unknown:
        what = "neither the label nor pixels" if labels else "no pixels; none of them is called label"
        raise DataError(
            f"{path} has the columns {_named(cells, unknown)}, which are {what}.",
            hint="Keep one column for the label and one for each pixel; remove the others.",
        )
    if counters or _fills(len(cells), shape):
        raise _no_label(path, f"its columns are {cells[0]!r} to {cells[-1]!r}")
    return None


def _by_values(
    path: Path, rows: Sequence[Sequence[str]], n: int, shape: Shape | None, header: bool, *, counts: bool
) -> _Found:
    """Label and left out columns as the values and the number of columns have it."""
    texts = [i for i in range(n) if rows and sum(not is_number(row[i]) for row in rows if row[i]) > len(rows) / 2]
    if len(texts) == 1 and texts[0] != 0:
        dropped = (0,) if counts and not _fills(n - 1, shape) and _fills(n - 2, shape) else ()
        note = f"column {texts[0] + 1}, which holds text, is taken for the label"
        return texts[0], dropped, note + ("; column 1 counts the rows and was left out" if dropped else "")
    if _fills(n - 1, shape):
        if counts:
            raise _no_label(path, "column 1 only counts the rows")
        return 0, (), "column 1 is taken for the label" if header else None
    if _fills(n, shape):
        raise _no_label(path, f"each of its {n} columns is needed for the pixels of a {_size(n, shape)} image")
    if counts and n > 2:
        return 1, (0,), "column 1 counts the rows and was left out; column 2 is taken for the label"
    return 0, (), "column 1 is taken for the label" if header else None


def _unlike_pixels(lowered: Sequence[str]) -> list[int]:
    """The columns that are not called like most of the others, but for numbers."""
    patterns = [re.sub(r"\d+", "#", name) for name in lowered]
    usual, times = Counter(patterns).most_common(1)[0]
    if times < 2:  # names without a pattern: whatever is not known by its name is a pixel
        return [i for i, name in enumerate(lowered) if name in _COUNTERS]
    return [i for i, pattern in enumerate(patterns) if pattern != usual]


def _refuse_file_names(path: Path, rows: Sequence[Sequence[str]]) -> None:
    named = next((cell for row in rows[:3] for cell in row if FILE_COLUMN.fullmatch(cell)), None)
    if named is not None:
        raise DataError(
            f"{path} names image files, such as {named!r}, where pixels are expected.",
            hint="Give a manifest alone, as one file: --data FILE, with a column split for its own splits.",
        )


def _is_counter(values: Sequence[str]) -> bool:
    """Whether values count 0, 1, 2, ... or 1, 2, 3, ..."""
    if len(values) < 3 or not all(re.fullmatch(r"\d{1,12}(\.0)?", value) for value in values):
        return False
    first = int(float(values[0]))
    return first in (0, 1) and [int(float(value)) for value in values] == list(range(first, first + len(values)))


def _fills(values: int, shape: Shape | None) -> bool:
    return values > 0 and ((shape is not None and math.prod(shape) == values) or square(values) is not None)


def _size(values: int, shape: Shape | None) -> str:
    found = shape if shape is not None and math.prod(shape) == values else square(values)
    return "x".join(map(str, found or (values,)))


def _count(first: int, n: int) -> list[str]:
    return [str(i) for i in range(first, first + n)]


def _named(cells: Sequence[str], places: Sequence[int]) -> str:
    shown = ", ".join(f"{cells[i] or '(no name)'} (column {i + 1})" for i in places[:_SHOWN])
    return shown + (f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else "")


def _left_out(cells: Sequence[str], places: Sequence[int]) -> str:
    return f"{_named(cells, places)} {'counts' if len(places) == 1 else 'count'} the rows and was left out"


def _no_label(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} has no label column: {why}.",
        hint="Add a column called label; a test file without labels cannot evaluate a model, so leave it out.",
    )
