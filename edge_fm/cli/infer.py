"""`edgefm infer`: classify photos on this device."""

from __future__ import annotations

import atexit
import gc
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_fm.cli.common import Talk, choose_artifact, engine_options, output_options

if TYPE_CHECKING:
    from edge_fm_runtime.classifier import Classification, Classifier, Failure

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".mpo"}
)
"""What is taken from a folder; a file that is named is tried whatever its suffix."""


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
    from edge_fm_runtime.classifier import Classifier, Failure
    from edge_fm_runtime.errors import PhotoError
    from edge_fm_runtime.photo import DEFAULT_MAX_PIXELS

    lone = _lone_file(paths)
    path = choose_artifact(model, talk)
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
            from edge_fm.cli.follow import follow

            found = _expand(paths, recursive)
            answers = classifier.classify_many(found, batch_size=batch_size, top_k=top_k, processes=True)
            answers = follow(answers, talk, lambda: _count(paths, recursive))
        if as_csv:
            click.echo("input,label,index,score,error,decode_ms,infer_ms")
        answered = failed = 0
        for answer in answers:
            click.echo(_json(answer) if as_json else _csv(answer) if as_csv else _text(answer, top_k))
            if show is not None and not isinstance(answer, Failure):
                _show(classifier, answer.input, show, answered + failed)
            if isinstance(answer, Failure):
                failed += 1
                talk.note(f"{_printable(answer.input)}: {answer.error}")
            else:
                answered += 1
    if answered + failed == 0:
        raise PhotoError(
            f"Found no photo in {', '.join(paths)}; taken from folders: {', '.join(sorted(SUFFIXES))}.",
            hint="Name a photo, another folder, or add --recursive.",
        )
    if failed:
        talk.note(f"{failed} of {answered + failed} could not be answered.")
        sys.exit(4 if answered else 1)


def _show(classifier: Classifier, path: str, folder: Path, number: int) -> None:
    """Write the canvas of a photo, enlarged so that a person can see it, and called after the photo."""
    from PIL import Image

    canvas = classifier.canvas(path)
    image = Image.fromarray(canvas[..., 0] if canvas.shape[-1] == 1 else canvas)
    factor = max(1, 280 // max(image.size))
    folder.mkdir(parents=True, exist_ok=True)
    stem = _printable(Path(path).stem)[:100].replace("/", "_")
    image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST).save(
        folder / f"{number:05d}-{stem}.png"
    )


def _lone_file(paths: tuple[str, ...]) -> str | None:
    if len(paths) == 1 and paths[0] != "-" and not Path(paths[0]).is_dir() and Path(paths[0]).exists():
        return paths[0]
    return None


def _one(classifier: Classifier, path: str, top_k: int) -> Iterator[Classification | Failure]:
    from edge_fm_runtime.classifier import Failure
    from edge_fm_runtime.errors import PhotoError

    try:
        yield classifier.classify(path, top_k=top_k)
    except PhotoError as error:
        yield Failure(path, error)


def _expand(paths: tuple[str, ...], recursive: bool) -> Iterator[str]:
    """Turn arguments into files, lazily and in order: folders sorted, no link to a folder followed below them."""
    for path in paths:
        if path == "-":
            yield from (line for raw in sys.stdin if (line := raw.rstrip("\n")))
        elif Path(path).is_dir():
            yield from _walk(path, recursive)
        elif not Path(path).exists() and any(c in path for c in "*?["):
            yield from sorted(p for p in _glob(path, recursive) if not Path(p).is_dir())
        else:
            yield path


def _glob(pattern: str, recursive: bool) -> Iterator[str]:
    if not recursive or "**" not in pattern:
        import glob

        return glob.iglob(pattern)
    # Below "**" glob follows links to folders, round and round; pathlib does not.
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if any(c in part for c in "*?["))
    start = Path(*parts[:fixed])
    found = start.glob(str(Path(*parts[fixed:])))
    return (str(p) for p in found if not any(part.startswith(".") for part in p.relative_to(start).parts))


def _count(paths: tuple[str, ...], recursive: bool) -> int | None:
    """How many photos there will be; None where a list is still being written."""
    return None if "-" in paths else sum(1 for _ in _expand(paths, recursive))


def _walk(folder: str, recursive: bool) -> Iterator[str]:
    for root, folders, files in os.walk(folder, followlinks=False):
        folders.sort()
        yield from (str(Path(root) / f) for f in sorted(files) if Path(f).suffix.lower() in SUFFIXES)
        if not recursive:
            return


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("\n", "\\n").replace("\r", "\\r")


def _json(answer: Classification | Failure) -> str:
    from edge_fm_runtime.classifier import Failure

    shown = answer.input.encode("utf-8", "backslashreplace").decode()
    if isinstance(answer, Failure):
        row: dict[str, Any] = {"input": shown, "label": None, "index": None, "score": None, "top": []}
        row |= {"error": str(answer.error), "decode_ms": None, "infer_ms": None}
    else:
        row = {"input": shown, "label": answer.label, "index": answer.index, "score": round(answer.score, 6)}
        row["top"] = [{"label": p.label, "index": p.index, "score": round(p.score, 6)} for p in answer.top]
        row |= {"error": None, "decode_ms": round(answer.decode_ms, 3), "infer_ms": round(answer.infer_ms, 3)}
    return json.dumps(row, ensure_ascii=False)


def _csv(answer: Classification | Failure) -> str:
    import csv
    import io

    from edge_fm_runtime.classifier import Failure

    buffer = io.StringIO()
    if isinstance(answer, Failure):
        cells = [_printable(answer.input), "", "", "", str(answer.error), "", ""]
    else:
        cells = [_printable(answer.input), answer.label, str(answer.index), f"{answer.score:.6f}", ""]
        cells += [f"{answer.decode_ms:.3f}", f"{answer.infer_ms:.3f}"]
    csv.writer(buffer, lineterminator="").writerow(cells)
    return buffer.getvalue()


def _text(answer: Classification | Failure, top_k: int) -> str:
    from edge_fm_runtime.classifier import Failure

    name = _printable(answer.input)
    if isinstance(answer, Failure):
        return f"{name}: error: {answer.error.message}"
    return f"{name}: " + ", ".join(f"{p.label} {100 * p.score:.1f}%" for p in answer.top[:top_k])
