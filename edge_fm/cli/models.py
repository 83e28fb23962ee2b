"""`edgefm models`: the models that `edgefm train` knows."""

from __future__ import annotations

import click

from edge_fm.cli.common import Talk, output_options, print_json, print_table


@click.command("models")
@output_options
def command(as_json: bool, quiet: bool) -> None:
    """List the model zoo: parameters, multiply-accumulates, input, accuracy where it was measured, source."""
    from edge_fm.models import describe_models

    models = describe_models()
    if as_json:
        print_json({"models": models})
    else:
        rows = [
            [
                m["name"],
                m["family"],
                f"{m['params']:,}",
                f"{m['macs'] / 1e6:.1f} M",
                "{}x{}x{}".format(*m["input"]) + f", {m['classes']} classes",
                "-" if m["accuracy"] is None else f"{100 * m['accuracy']:.2f}%",
                "-" if m["int8_bytes"] is None else f"{m['int8_bytes']:,}",
                ", ".join(m["options"]),
                m["source"],
            ]
            for m in models
        ]
        columns = ["name", "family", "parameters", "MACs", "input", "accuracy", "int8 bytes", "options", "source"]
        print_table("Models", columns, rows, right=(2, 3, 5, 6))
    Talk(quiet).next(f"edgefm train --model {models[0]['name']}")
