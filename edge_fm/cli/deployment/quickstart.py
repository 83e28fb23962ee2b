"""`edgefm quickstart`: the whole way once, on real images, offline."""

from __future__ import annotations

from pathlib import Path

import click

from edge_fm.cli.console.artifact_tables import print_quickstart
from edge_fm.cli.console.console import Console, shell_word
from edge_fm.cli.options import PATH, console_options


@click.command("quickstart")
@click.option("--out", type=PATH, metavar="DIR", help="Folder of the run. Default: a new one under runs/.")
@click.option(
    "--epochs", type=int, help="Passes over the 5,400 training images. Default: the recipe's, about a minute."
)
@console_options
def command(console: Console, out: Path | None, epochs: int | None) -> None:
    """Train a small model for about a minute, export it to every format, prove and measure each, classify a photo.

    Needs no network: 7,000 images of Fashion-MNIST come with the package.
    """
    from edge_fm.api.quickstart import quickstart
    from edge_fm.cli.console.train_run import epoch_printer, train_run

    result = console.call(
        quickstart,
        out=out,
        epochs=epochs,
        train=train_run,
        on_epoch=epoch_printer(console),
        warn=console.warn,
    )
    console.show(result, print_quickstart)
    console.next(
        f"edgefm infer {shell_word(result.photo)} --model {shell_word(result.artifact)}",
        "edgefm data fetch fashion-mnist && edgefm train && edgefm export --format all --precision all",
        "edgefm export YOUR_MODEL.keras --format onnx --data YOUR_IMAGES/",
    )
