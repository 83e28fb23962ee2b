"""One line of `edgefm infer` for each photo: text for a person, JSON or CSV."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_fm.cli.console.console import Console
from edge_fm.cli.console.printable import printable, printable_error, printable_json, printable_message, printable_name
from edge_fm_runtime.arrays import Pixels
from edge_fm_runtime.classification import Best, Classification, Failure

if TYPE_CHECKING:
    from edge_fm.api.classify import OpenedPhotos

UNKNOWN = "unknown"
"""What stands for the label of a photo that was rejected."""
NO_LABEL = "no label"
"""What stands for the labels of a photo that none applies to."""
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""What a cell begins with that a spreadsheet takes for a formula, which can read other files and run programs."""


def print_predictions(
    opened: OpenedPhotos, console: Console, *, top_k: int, as_csv: bool, show: Path | None, heatmap: Path | None = None
) -> tuple[int, int]:
    """Print a row on stdout for each photo, and on stderr why a photo could not be read.

    Args:
        opened: the photos and the classifier.
        console: whether rows are JSON, and where notes go.
        top_k: how many classes a row has.
        as_csv: rows are CSV.
        show: folder for the canvas of each photo, as PNG; None writes none.
        heatmap: folder for the canvas with a heat map of where the class was seen; likewise.

    Returns:
        How many photos were classified, and how many failed.
    """
    predictions = opened.predictions
    if not opened.lone:
        from edge_fm.cli.console.follow import follow

        predictions = follow(predictions, console, opened.photos.count)
    classifier = opened.classifier
    classes = min(top_k, len(classifier.artifact.metadata.labels))
    multi_label = classifier.artifact.metadata.task is not None
    rows = CsvRows(classes, rejecting=classifier.min_score is not None, multi_label=multi_label)
    row = json_row if console.as_json else rows.row if as_csv else text_row
    if as_csv:
        click.echo(rows.header())
    # Rows and notes may be shown by one terminal.
    both = not (console.as_json or as_csv) and sys.stdout.isatty() and sys.stderr.isatty()
    classified = failed = 0
    for prediction in predictions:
        click.echo(row(prediction))
        if isinstance(prediction, Failure):
            failed += 1
            error = printable_error(prediction.error)
            if not both:
                console.note(f"{printable_name(prediction.input)}: {error}")
            elif hint := error.partition("\n")[2]:  # the row has the message
                console.note(hint)
        else:
            if show is not None:
                _write_image(classifier.canvas(prediction.input), prediction.input, show, classified + failed)
            if heatmap is not None and prediction.heatmap is not None:
                from edge_fm_runtime.photos.heatmap import draw_heatmap

                drawn = draw_heatmap(classifier.canvas(prediction.input), prediction.heatmap)
                _write_image(drawn, prediction.input, heatmap, classified + failed)
            classified += 1
    return classified, failed


def _write_image(canvas: Pixels, path: str, folder: Path, number: int) -> None:
    """Write a canvas `[H,W,C]`, enlarged so that a person can see it, and named after the photo at `path`."""
    from PIL import Image

    from edge_fm_runtime.system.atomic_write import replacing

    image = Image.fromarray(canvas[..., 0] if canvas.shape[-1] == 1 else canvas)
    factor = max(1, 280 // max(image.size))
    folder.mkdir(parents=True, exist_ok=True)
    stem = printable(Path(path).stem)[:100].encode()[:200].decode(errors="ignore").replace("/", "_")
    file = folder / f"{number:05d}-{stem}.png"
    with replacing(file) as temporary:
        image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST).save(temporary, "PNG")


def text_row(prediction: Classification | Failure) -> str:
    """The photo and its classes in percent, or the error."""
    name = printable_name(prediction.input)
    if isinstance(prediction, Failure):
        return f"{name}: error: {printable_message(prediction.error.message, lines=False)}"
    return f"{name}: {classes_text(prediction)}"


def classes_text(best: Best) -> str:
    """The classes in percent; of what is rejected `unknown`, the classes in parentheses.

    Of a multi-label model the labels that apply, or `no label` and the best ones in parentheses.
    """
    classes = ", ".join(f"{printable_name(p.label)} {100 * p.score:.1f}%" for p in best.top)
    if best.labels:
        return ", ".join(f"{printable_name(p.label)} {100 * p.score:.1f}%" for p in best.labels)
    if best.labels is not None:
        return f"{NO_LABEL} ({classes})"
    return f"{UNKNOWN} ({classes})" if best.rejected else classes


def json_row(prediction: Classification | Failure) -> str:
    """One JSON object; bytes of a name that are no UTF-8 stand there escaped."""
    return printable_json(prediction.to_json())


class CsvRows:
    """CSV for programs and spreadsheets: a row is a line, the best class first, the others in columns of their own.

    Args:
        classes: how many classes a row has.
        rejecting: whether photos may be rejected: their label is `unknown` then, and a last column says so.
        multi_label: whether any number of labels may apply: a last column has them, best first, with `|` between.
    """

    def __init__(self, classes: int, *, rejecting: bool = False, multi_label: bool = False) -> None:
        self._classes, self._rejecting, self._multi_label = classes, rejecting, multi_label

    def header(self) -> str:
        """The names of the columns; those of the second class on follow the ones of a single class."""
        more = [f"{name}_{rank}" for rank in range(2, self._classes + 1) for name in ("label", "index", "score")]
        more += ["rejected"] * self._rejecting + ["labels"] * self._multi_label
        return _line(["input", "label", "index", "score", "error", "decode_ms", "infer_ms", *more])

    @property
    def _more(self) -> int:
        """Columns behind those of a single class."""
        return 3 * (self._classes - 1) + self._rejecting + self._multi_label

    def row(self, prediction: Classification | Failure) -> str:
        """One photo. A cell that a spreadsheet would compute begins with an apostrophe."""
        name = _cell(prediction.input)
        if isinstance(prediction, Failure):
            error = _cell(" ".join(str(prediction.error).splitlines()))
            return _line([name, "", "", "", error, "", "", *[""] * self._more])
        best, *others = [[_cell(p.label), str(p.index), f"{p.score:.6f}"] for p in prediction.top]
        if prediction.rejected:
            best[0] = UNKNOWN
        if prediction.labels is not None and not prediction.labels:
            best[0] = ""
        last = [str(bool(prediction.rejected)).lower()] * self._rejecting
        last += [_cell("|".join(p.label for p in prediction.labels or ()))] * self._multi_label
        times = [f"{prediction.decode_ms:.3f}", f"{prediction.infer_ms:.3f}"]
        return _line([name, *best, "", *times, *(cell for other in others for cell in other), *last])


def _cell(text: str) -> str:
    shown = printable(text)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def _line(cells: list[str]) -> str:
    import csv
    import io

    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue().removesuffix("\n")
