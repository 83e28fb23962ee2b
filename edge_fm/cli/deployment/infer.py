"""`edgefm infer`: classify photos on this device."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_fm.api.common.places import choose_artifact
from edge_fm.cli.console.common import Talk, engine_options, output_options
from edge_fm.cli.console.printable import printable

if TYPE_CHECKING:
    from edge_fm_runtime.classifier import Classification, Classifier, Failure


@click.command("infer")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--model",
    metavar="ARTIFACT",
    help="Artifact to run. Default: $EDGEFM_MODEL, else the newest export under runs/, else the one in the package.",
)
@engine_options
@click.option(
    "--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Images through the engine at once."
)
@click.option("--top-k", type=click.IntRange(1), default=1, show_default=True, help="How many classes to print.")
@click.option("--recursive", "-r", is_flag=True, help="Look into subfolders too.")
@click.option(
    "--show",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write there what the model saw, as PNG.",
)
@click.option("--max-pixels", type=click.IntRange(1), help="Refuse larger photos. Default: 50,000,000.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV on stdout.")
@output_options
def command(
    paths: tuple[str, ...],
    model: str | None,
    engine: str,
    device: str,
    threads: int | None,
    batch_size: int,
    top_k: int,
    recursive: bool,
    show: Path | None,
    max_pixels: int | None,
    as_csv: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Classify photos: files, folders, globs, or - for a list of paths on stdin, one a line.

    Prints one line for each photo, in input order. A photo that cannot be read is one error line, the rest are
    answered, and the exit code is 4 (1 if none could be answered).

    \b
    The model in the package, for the ten kinds of clothes of Fashion-MNIST:
      --model edgenet-s-onnx-int8
    """  # noqa: D301 (click's mark of a paragraph that is not to be wrapped)
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other.")
    talk = Talk(quiet)
    # The interpreter's last collection finds nothing that the end of the process does not free, and takes a sixth of
    # the time of one photo.
    atexit.register(gc.freeze)
    from edge_fm.api.common.photo_list import PhotoList, lone_file
    from edge_fm.cli.console.infer_rows import CsvRows, json_row, text_row
    from edge_fm_runtime.classifier import Classifier, Failure
    from edge_fm_runtime.errors import PhotoError
    from edge_fm_runtime.photos.photo import DEFAULT_MAX_PIXELS

    lone = lone_file(paths)
    photos = PhotoList(paths, recursive=recursive)
    path = choose_artifact(model, talk.note)
    limit = max_pixels or DEFAULT_MAX_PIXELS
    # profile: what is fastest when warm may take longer to start than one photo takes.
    # one_shot: threads that spin while they wait for the next batch would take the cores from decoding.
    with Classifier.load(
        path, engine=engine, device=device, threads=threads, one_shot=True, max_pixels=limit, profile=lone is None
    ) as classifier:
        if classifier.profile_note is not None:
            talk.note(classifier.profile_note)
        answers: Iterator[Classification | Failure]
        if lone is not None:  # no thread pool, no progress: the cold start of one photo
            answers = _one(classifier, lone, top_k)
        else:
            from edge_fm.cli.console.follow import follow

            answers = classifier.classify_many(photos, batch_size=batch_size, top_k=top_k, processes=True)
            answers = follow(answers, talk, photos.count)
        rows = CsvRows(min(top_k, len(classifier.artifact.metadata.labels)))
        row = json_row if as_json else rows.row if as_csv else text_row
        if as_csv:
            click.echo(rows.header())
        # One terminal shows rows and notes.
        both = not (as_json or as_csv) and sys.stdout.isatty() and sys.stderr.isatty()
        answered = failed = 0
        for given in answers:
            answer = photos.explained(given) if isinstance(given, Failure) else given
            click.echo(row(answer))
            if show is not None and not isinstance(answer, Failure):
                _show(classifier, answer.input, show, answered + failed)
            if isinstance(answer, Failure):
                failed += 1
                told = str(answer.error)
                if both:  # the row has just said what is wrong
                    told = told.partition("\n")[2]
                if told:
                    talk.note(told if both else f"{printable(answer.input)}: {told}")
            else:
                answered += 1
    if passed_over := photos.passed_over_in_words():
        talk.note(f"Passed over: {passed_over}.")
    if answered + failed == 0:
        from edge_fm_runtime.photos.suffixes import LISTED

        raise PhotoError(
            f"Found no photo in {', '.join(map(printable, paths))}; taken from folders: {LISTED}.",
            hint="Name a photo, another folder, or add --recursive.",
        )
    if failed:
        talk.note(f"{failed} of {answered + failed} could not be answered.")
        sys.exit(4 if answered else 1)


def _show(classifier: Classifier, path: str, folder: Path, number: int) -> None:
    """Write the canvas of a photo, enlarged so that a person can see it, and called after the photo."""
    from PIL import Image

    from edge_fm_runtime.system.disk import writing

    canvas = classifier.canvas(path)
    image = Image.fromarray(canvas[..., 0] if canvas.shape[-1] == 1 else canvas)
    factor = max(1, 280 // max(image.size))
    folder.mkdir(parents=True, exist_ok=True)
    stem = printable(Path(path).stem)[:100].encode()[:200].decode(errors="ignore").replace("/", "_")
    file = folder / f"{number:05d}-{stem}.png"
    with writing(file):
        image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST).save(file)


def _one(classifier: Classifier, path: str, top_k: int) -> Iterator[Classification | Failure]:
    from edge_fm_runtime.classifier import Failure
    from edge_fm_runtime.errors import PhotoError

    try:
        yield classifier.classify(path, top_k=top_k)
    except PhotoError as error:
        yield Failure(path, error)
