"""`edgefm models`: the models that `edgefm train` knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from edge_fm.cli.console.common import Talk, output_options, print_json, print_table


@click.command("models")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw accuracy against parameters, MACs, int8 bytes and latency (.png, .svg or .pdf).",
)
@output_options
def command(plot: Path | None, as_json: bool, quiet: bool) -> None:
    """List the model zoo: parameters, multiply-accumulates, input, options, source; accuracy where it was measured.

    Figures are for the input and the number of classes that stand beside them; accuracy is the median of several seeds
    on the 10,000 test images, bytes and latency are those of int8 ONNX. A second table has what each recipe reached.
    --json adds the options' defaults, the trainable parameters and the weights that a model can start from.
    """
    from edge_fm.api.models import list_models

    listed = list_models()
    models = listed.models
    if plot is not None:
        _plot(plot)
    if as_json:
        print_json(listed.to_json())
    else:
        columns: dict[str, list[str]] = {
            "name": [m["name"] for m in models],
            "parameters": [f"{m['params']:,}" for m in models],
            "MACs": [f"{m['macs'] / 1e6:.1f} M" for m in models],
            "input": ["{}x{}x{}".format(*m["input"]) for m in models],
            "classes": [str(m["classes"]) for m in models],
            "accuracy": ["-" if m["accuracy"] is None else f"{100 * m['accuracy']:.2f}%" for m in models],
            "int8 bytes": ["-" if m["int8_bytes"] is None else f"{m['int8_bytes']:,}" for m in models],
            "int8 ms": ["-" if m["int8_p50_ms"] is None else f"{m['int8_p50_ms']:.3f}" for m in models],
            "options": [", ".join(m["options"]) for m in models],
            "source": [m["source"] for m in models],
        }
        # A column of dashes says nothing.
        columns = {title: cells for title, cells in columns.items() if set(cells) != {"-"}}
        numbers = ("parameters", "MACs", "classes", "accuracy", "int8 bytes", "int8 ms")
        right = tuple(i for i, title in enumerate(columns) if title in numbers)
        rows = [list(row) for row in zip(*columns.values(), strict=True)]
        order = ["source", "options", "classes", "input", "int8 ms", "MACs", "int8 bytes"]
        lesser = [title for title in order if title in columns]
        wraps = [title for title in ("options", "source") if title in columns]
        print_table("Models", list(columns), rows, right=right, wraps=wraps, lesser=lesser)
        _print_recipes(models)
    talk = Talk(quiet)
    if plot is not None:
        talk.note(f"Wrote {plot}")
    talk.next(f"edgefm train --model {models[0]['name']}")


def _print_recipes(models: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        [
            model["name"],
            reached["recipe"],
            f"{100 * reached['accuracy']:.2f}%",
            ", ".join(f"{100 * accuracy:.2f}" for accuracy in reached["seeds"].values()),
            f"{reached['seconds'] / 60:.0f}",
            reached["trained_on"],
        ]
        for model in models
        for reached in model["recipes"]
    ]
    if rows:
        columns = ["model", "recipe", "accuracy", "seeds", "minutes", "trained on"]
        print_table(
            "Recipes: accuracy on the 10,000 test images, minutes of one training",
            columns,
            rows,
            right=(2, 4),
            wraps=["trained on"],
            lesser=["trained on", "seeds", "minutes"],
        )


def _plot(file: Path) -> None:
    from edge_fm.api.models import plot_models

    if file.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise click.BadParameter(f"{file.name} is no picture; supported: .png, .svg, .pdf.", param_hint="--plot")
    if not file.parent.is_dir():
        raise click.BadParameter(f"There is no folder {file.parent}.", param_hint="--plot")
    plot_models(file)
