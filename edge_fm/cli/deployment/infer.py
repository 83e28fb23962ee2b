"""`edgefm infer`: classify photos on this device."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from edge_fm.cli.console.console import Console
from edge_fm.cli.console.printable import printable
from edge_fm.cli.deployment.infer_job import job_options, run_job
from edge_fm.cli.options import (
    COUNT,
    FOLDER,
    MIN_SCORE,
    VIDEO_ONLY,
    batch_size_option,
    console_options,
    engine_options,
    signature_option,
    typed_options,
    video_options,
)
from edge_fm.process import skip_teardown
from edge_fm_runtime.defaults import BATCH_SIZE, STREAM_BATCH_SIZE
from edge_fm_runtime.photos.limits import DEFAULT_MAX_PIXELS

_PHOTOS_ONLY = (
    *("photos", "recursive", "show", "heatmap", "as_csv"),
    *("out", "shard", "file_format", "on", "workers", "column", "retry_failed"),
)


@click.command("infer")
@click.argument("photos", nargs=-1, metavar="PATH...")
@click.option(
    "--model",
    metavar="ARTIFACT",
    help="Artifact to run. Default: $EDGEFM_MODEL, else the newest export under runs/, else the one in the package.",
)
@engine_options
@batch_size_option(BATCH_SIZE)
@click.option("--top-k", type=COUNT, default=1, show_default=True, help="How many classes to print.")
@click.option("--recursive", "-r", is_flag=True, help="Look into subfolders too.")
@click.option("--show", type=FOLDER, metavar="DIR", help="Write there what the model saw, as PNG.")
@click.option(
    "--heatmap",
    type=FOLDER,
    metavar="DIR",
    help="Write there what the model saw, as PNG, with a heat map of where it saw the class; the artifact must return "
    "class activation maps (edgefm export --outputs cam).",
)
@click.option("--max-pixels", type=COUNT, help=f"Refuse larger photos. Default: {DEFAULT_MAX_PIXELS:,}.")
@click.option(
    "--min-score",
    type=MIN_SCORE,
    metavar="X|auto",
    help="Label a photo `unknown` where its best score is below X (0 to 1); auto: below the threshold that the "
    "artifact records. Default: every photo gets a label.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV on stdout.")
@job_options
@video_options
@signature_option
@console_options
def command(
    console: Console,
    photos: tuple[str, ...],
    top_k: int,
    show: Path | None,
    heatmap: Path | None,
    as_csv: bool,
    out: str | None,
    on: str | None,
    workers: int | None,
    column: str | None,
    shard: Any,
    file_format: str,
    retry_failed: bool,
    **options: Any,
) -> None:
    """Classify photos: files, folders, globs, or - for a list of paths on stdin, one a line.

    Prints one line for each photo, in input order. A photo that cannot be read is one error line, the rest are
    classified, and the exit code is 4 (1 if none could be classified).

    With --out the results are files of a folder, each photo once, however often the command is killed and started
    again; --shard shares the photos out among the jobs of an array.

    With --video, prints a line whenever the label changes (--json: one for each frame) until the video ends, or Ctrl-C.

    \b
    The model in the package, for the ten kinds of clothes of Fashion-MNIST:
      --model efficientnet-lite0-onnx-int8
    """  # noqa: D301 (click's mark of a paragraph that is not to be wrapped)
    if as_csv and console.as_json:
        raise click.UsageError("--csv and --json exclude each other.")
    typed = typed_options()
    if options["video"] is not None:
        if other := [called for name, called in typed.items() if name in _PHOTOS_ONLY]:
            raise click.UsageError(f"{other[0]} has no meaning with --video.")
        if {"stride", "fps"} <= typed.keys():
            raise click.UsageError("--stride and --fps exclude each other.")
        from edge_fm.cli.video.results import print_video

        del options["recursive"]
        if "batch_size" not in typed:
            options["batch_size"] = STREAM_BATCH_SIZE
        print_video(console, top_k=top_k, **options)
        return
    if lone := [called for name, called in typed.items() if name in VIDEO_ONLY]:
        raise click.UsageError(f"{lone[0]} belongs to --video, which was not given.")
    if not photos:
        raise click.UsageError("Missing argument 'PATH...', or a video: --video SOURCE.")
    options = {name: value for name, value in options.items() if name not in ("video", *VIDEO_ONLY)}
    if retry_failed or any(value is not None for value in (out, on, workers, column, shard)):
        printed = {"--csv": as_csv, "--show": show, "--heatmap": heatmap}
        job = {"on": on, "workers": workers, "column": column, "shard": shard, "file_format": file_format}
        run_job(console, photos, out, printed, **job, retry_failed=retry_failed, top_k=top_k, **options)
        return
    if "file_format" in typed:
        raise click.UsageError("--format needs --out DIR, the folder of the results.")
    skip_teardown()
    from edge_fm.api.classify import open_photos
    from edge_fm.cli.console.infer_rows import print_predictions
    from edge_fm_runtime.errors import PhotoError

    with open_photos(
        photos, top_k=top_k, one_shot=True, heatmap=heatmap is not None, note=console.note, **options
    ) as opened:
        classified, failed = print_predictions(opened, console, top_k=top_k, as_csv=as_csv, show=show, heatmap=heatmap)
    if passed_over := opened.photos.describe_passed_over():
        console.note(f"Passed over: {passed_over}.")
    if classified + failed == 0:
        from edge_fm_runtime.photos.suffixes import LISTED

        raise PhotoError(
            f"Found no photo in {', '.join(map(printable, photos))}; taken from folders: {LISTED}.",
            hint="Name a photo, another folder, or add --recursive.",
        )
    if failed:
        console.note(f"{failed} of {classified + failed} could not be classified.")
        sys.exit(4 if classified else 1)
