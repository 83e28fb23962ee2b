"""`edgefm similar`: the photos of a folder that look most like one photo."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from edge_fm.cli.console.console import Console, print_table
from edge_fm.cli.console.printable import printable_name
from edge_fm.cli.options import COUNT, batch_size_option, console_options, engine_options, signature_option
from edge_fm_runtime.defaults import BATCH_SIZE
from edge_fm_runtime.photos.limits import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    from edge_fm.api.artifacts.similar import SimilarResult


@click.command("similar")
@click.argument("photo", metavar="PHOTO")
@click.argument("folder", nargs=-1, required=True, metavar="FOLDER...")
@click.option(
    "--model",
    metavar="ARTIFACT",
    help="Artifact with embeddings. Default: $EDGEFM_MODEL, else the newest export under runs/, else the one in the "
    "package.",
)
@click.option("--top", type=COUNT, default=10, show_default=True, help="How many photos to print.")
@click.option("--recursive", "-r", is_flag=True, help="Look into subfolders too.")
@engine_options
@batch_size_option(BATCH_SIZE)
@click.option("--max-pixels", type=COUNT, help=f"Refuse larger photos. Default: {DEFAULT_MAX_PIXELS:,}.")
@signature_option
@console_options
def command(console: Console, **options: Any) -> None:
    """Rank the photos of folders by how similar a model finds them to PHOTO, best first.

    Compares the model's feature vectors by their cosine, 1 for the same direction. The artifact must return them:
    edgefm export RUN --outputs embedding. A photo that cannot be read is named on stderr, the rest are compared, and
    the exit code is 4 (1 if none could be compared).
    """
    from edge_fm.api.artifacts.similar import similar

    result = console.call(similar, **options)
    console.show(result, _print_similar)
    for failure in result.failures:
        console.failed(printable_name(failure.input), failure.error)
    if result.failures:
        sys.exit(4 if result.similar else 1)


def _print_similar(result: SimilarResult) -> None:
    if not result.compared:
        return  # why is on stderr, for each photo
    compared = f"{result.compared:,} {'photo' if result.compared == 1 else 'photos'}"
    title = f"Most similar to {result.photo.input} ({result.photo.label}), of {compared}, by {result.artifact}"
    rows = [
        [one.photo.input, f"{one.similarity:.4f}", one.photo.label or "", f"{100 * one.photo.score:.1f}"]
        for one in result.similar
    ]
    print_table(title, ["photo", "similarity", "label", "score %"], rows, right=(1, 3))
