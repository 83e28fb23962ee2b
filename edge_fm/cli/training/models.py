"""`edgefm models`: the models that `edgefm train` knows."""

from __future__ import annotations

from pathlib import Path

import click

from edge_fm.cli.console.console import Console
from edge_fm.cli.console.dataset_tables import print_models
from edge_fm.cli.options import console_options


@click.command("models")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw accuracy against parameters, MACs, int8 bytes and latency (.png, .svg or .pdf).",
)
@console_options
def command(console: Console, plot: Path | None) -> None:
    """List the model zoo: parameters, multiply-accumulates, input, options, source; accuracy where it was measured.

    Figures are for the input and the number of classes that stand beside them; accuracy is the median of several seeds
    on the 10,000 test images, bytes and latency are those of int8 ONNX. A second table has what each recipe reached.
    --json adds the options' defaults, the trainable parameters and the weights that a model can start from.
    """
    from edge_fm.api.models import list_models, plot_models

    if plot is not None and plot.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise click.BadParameter(f"{plot.name} is not an image; supported: .png, .svg, .pdf.", param_hint="--plot")
    if plot is not None and not plot.parent.is_dir():
        raise click.BadParameter(f"There is no folder {plot.parent}.", param_hint="--plot")
    listed = list_models()
    if plot is not None:
        plot_models(plot)
    console.show(listed, print_models)
    if plot is not None:
        console.note(f"Wrote {plot}")
    console.next(f"edgefm train --model {listed.models[0]['name']}")
