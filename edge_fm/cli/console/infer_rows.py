"""One line of `edgefm infer` for each photo: text for a person, JSON or CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_fm.cli.console.printable import printable, printable_json
from edge_fm_runtime.classifier import Failure

if TYPE_CHECKING:
    from edge_fm_runtime.classifier import Classification

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""What a cell begins with that a spreadsheet takes for a formula, which can read other files and run programs."""


def text_row(answer: Classification | Failure) -> str:
    """The photo and its classes in percent, or the error."""
    name = printable(answer.input)
    if isinstance(answer, Failure):
        return f"{name}: error: {printable(answer.error.message)}"
    return f"{name}: " + ", ".join(f"{printable(p.label)} {100 * p.score:.1f}%" for p in answer.top)


def json_row(answer: Classification | Failure) -> str:
    """One JSON object; bytes of a name that are no UTF-8 stand there escaped."""
    return printable_json(answer.to_json())


class CsvRows:
    """CSV for programs and spreadsheets: a row is a line, the best class first, the others in columns of their own.

    Args:
        classes: how many classes a row has.
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes

    def header(self) -> str:
        """The names of the columns; those of the second class on follow the ones of a single class."""
        more = [f"{name}_{rank}" for rank in range(2, self._classes + 1) for name in ("label", "index", "score")]
        return _line(["input", "label", "index", "score", "error", "decode_ms", "infer_ms", *more])

    def row(self, answer: Classification | Failure) -> str:
        """One photo. A cell that a spreadsheet would compute begins with an apostrophe."""
        name = _cell(answer.input)
        if isinstance(answer, Failure):
            error = _cell(" ".join(str(answer.error).splitlines()))
            return _line([name, "", "", "", error, "", "", *[""] * 3 * (self._classes - 1)])
        best, *others = [[_cell(p.label), str(p.index), f"{p.score:.6f}"] for p in answer.top]
        times = [f"{answer.decode_ms:.3f}", f"{answer.infer_ms:.3f}"]
        return _line([name, *best, "", *times, *(cell for other in others for cell in other)])


def _cell(text: str) -> str:
    shown = printable(text)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def _line(cells: list[str]) -> str:
    import csv
    import io

    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue().removesuffix("\n")
