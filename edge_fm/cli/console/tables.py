"""Tables for a person: laid out for the width there is, so that no name, value or verdict is ever cut.

Where a table is too wide, headings wrap at words, then columns of prose do, then optional columns are left out, which a
line below says. Where even that is too wide, each row becomes a block of lines with every column. Only the terminal
itself may wrap a line that is still too long; what is copied from it is whole.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

_GAP = 2
_MARGIN = " "
_PROSE = 24
"""Columns of prose are not made narrower than this, unless their longest line is shorter."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        title: heading.
        cells: one text for each row.
        right: aligned right, as numbers are.
        wraps: prose, which may be broken between words.
    """

    title: str
    cells: tuple[str, ...]
    right: bool = False
    wraps: bool = False

    @property
    def natural(self) -> int:
        """The width in which nothing wraps."""
        return max(map(cell_width, (self.title, *self.cells)))

    @property
    def least(self) -> int:
        """The width below which a word would be cut."""
        head = max(map(cell_width, _heading_words(self.title)), default=0)
        if not self.wraps:
            return max(head, *map(cell_width, self.cells), 0)
        words = [word for cell in self.cells for word in cell.split(" ")]
        return max(head, min(self.natural, max(_PROSE, *map(cell_width, words), 0)))


@dataclass(frozen=True)
class Layout:
    """A table as lines of text.

    Attributes:
        head: lines of headings.
        body: the other lines.
        left_out: titles of the columns that did not fit.
    """

    head: tuple[str, ...]
    body: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def cell_width(text: str) -> int:
    """Columns of a terminal that `text` takes; ideographs take two."""
    from rich.cells import cell_len

    return cell_len(text)


def terminal_width() -> int | None:
    """Columns of the terminal that stdout is; None in a pipe or a file, where there is no width to keep to."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def lay_out(columns: Sequence[Column], width: int | None, *, optional: Sequence[str] = ()) -> Layout:
    """Arrange a table.

    Args:
        columns: left to right; the first names the row.
        width: of the terminal; None for as wide as it wants to be.
        optional: titles of the columns that may be left out, the first one first.
    """
    if width is None:
        return _table(columns, [column.natural for column in columns])
    left_out: list[str] = []
    for title in (None, *optional):
        if title is not None:
            left_out.append(title)
        shown = [column for column in columns if column.title not in left_out]
        if (widths := _widths(shown, width)) is not None:
            layout = _table(shown, widths)
            return Layout(layout.head, layout.body, tuple(c.title for c in columns if c.title in left_out))
    return _blocks(columns, width)


def _widths(columns: Sequence[Column], width: int) -> list[int] | None:
    """How wide each column may be within `width`; None where they do not fit."""
    widths = [column.least for column in columns]
    spare = width - len(_MARGIN) - sum(widths) - _GAP * (len(columns) - 1)
    if spare < 0:
        return None
    # Numbers' headings first, as they need little; prose takes the rest.
    for i in sorted(range(len(columns)), key=lambda i: columns[i].wraps):
        more = min(spare, columns[i].natural - widths[i])
        widths[i] += more
        spare -= more
    return widths


def _table(columns: Sequence[Column], widths: Sequence[int]) -> Layout:
    titles = [_wrapped(_heading_words(c.title), w, joined=True) for c, w in zip(columns, widths, strict=True)]
    height = max(map(len, titles))
    head = tuple(_row(columns, widths, [[""] * (height - len(lines)) + lines for lines in titles]))
    body = []
    for cells in zip(*(column.cells for column in columns), strict=True):
        lines = [
            _wrapped(cell.split(" "), width) if column.wraps else [cell]
            for column, cell, width in zip(columns, cells, widths, strict=True)
        ]
        body += _row(columns, widths, lines)
    return Layout(head, tuple(body))


def _row(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[Sequence[str]]) -> list[str]:
    lines = []
    for parts in zip_longest(*cells, fillvalue=""):
        padded = [
            " " * (width - cell_width(part)) + part if column.right else part + " " * (width - cell_width(part))
            for column, width, part in zip(columns, widths, parts, strict=True)
        ]
        lines.append((_MARGIN + (" " * _GAP).join(padded)).rstrip())
    return lines


def _blocks(columns: Sequence[Column], width: int) -> Layout:
    """Each row as a block: the name, then a line for each other column."""
    first, *others = columns
    titles = max((cell_width(column.title) for column in others), default=0)
    indent = _MARGIN + " " * _GAP
    room = max(_PROSE, width - len(indent) - titles - _GAP)
    body: list[str] = []
    for name, *cells in zip(*(column.cells for column in columns), strict=True):
        body.append(_MARGIN + (f"{first.title}: {name.strip()}"))
        for column, cell in zip(others, cells, strict=True):
            if not cell:
                continue
            begin = indent + column.title + " " * (titles - cell_width(column.title) + _GAP)
            for line in _wrapped(cell.split(" "), room) if column.wraps else [cell]:
                body.append((begin + line).rstrip())
                begin = " " * cell_width(begin)
    return Layout((), tuple(body))


def _heading_words(title: str) -> list[str]:
    """Where a heading may be broken: at spaces, which stay, and after the dots of a recipe's keys."""
    return [part for part in re.split(r"( )|(?<=\.)(?=[a-z])", title) if part]


def _wrapped(words: Sequence[str], width: int, *, joined: bool = False) -> list[str]:
    """Lines of whole words, each as long as fits.

    Args:
        words: the words; with `joined` the spaces stand among them.
        width: of the lines; only a single longer word exceeds it.
        joined: put no space between words.
    """
    lines = [""]
    for word in words:
        longer = lines[-1] + ("" if joined or not lines[-1] else " ") + word
        if not lines[-1] or cell_width(longer.rstrip()) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return [line.strip() for line in lines]


def print_columns(title: str, columns: Sequence[Column], *, optional: Sequence[str] = ()) -> None:
    """Print a table on stdout, for the width of the terminal or whole into a pipe."""
    from rich.console import Console as RichConsole
    from rich.text import Text

    console = RichConsole()
    width = terminal_width()
    layout = lay_out(columns, width, optional=optional)
    console.print(Text(title, style="bold"), soft_wrap=True)
    console.print()
    for line in layout.head:
        console.print(Text(line, style="bold"), soft_wrap=True)
    if layout.head:
        rule = "─" if console.encoding.startswith("utf") else "-"
        longest = max(map(cell_width, (*layout.head, *layout.body)))
        console.print(_MARGIN + rule * (longest - len(_MARGIN)), soft_wrap=True)
    for line in layout.body:
        console.print(Text(line), soft_wrap=True)
    if layout.left_out:
        console.print()
        names = ", ".join(layout.left_out)
        text = f"Columns left out at this width: {names}. A wider terminal, a pipe or --json shows all."
        console.print(Text(f"{_MARGIN}{text}", style="dim"))
    console.print()
