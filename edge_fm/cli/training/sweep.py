"""`edgefm sweep`: every combination of a few values in one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from edge_fm.cli.console.console import Console, shell_word
from edge_fm.cli.console.interrupt import call_interruptibly
from edge_fm.cli.console.study_tables import format_values, print_sweep
from edge_fm.cli.options import PATH, Parsed, console_options, on_options, study_options


def _parse_values(text: str) -> tuple[str, list[Any]]:
    """Read KEY=A,B: values as TOML writes them, else as text."""
    from edge_fm.training.recipe.keys import parse_value
    from edge_fm.training.recipe.toml_text import parse_toml

    key, equals, values = text.partition("=")
    if not key or not equals or not values:
        raise ValueError(f"{text!r} is not KEY=A,B,... such as training.batch_size=16,32.")
    try:
        table = parse_toml(f"values = [{values}]")
    except ValueError:
        return key.strip(), [parse_value(value.strip()) for value in values.split(",")]
    return key.strip(), table["values"]


@click.command("sweep")
@click.argument("recipe", metavar="[RECIPE]", required=False)
@click.option(
    "--grid",
    type=Parsed("values", _parse_values),
    multiple=True,
    required=True,
    metavar="KEY=A,B,...",
    help="A key of the recipe and its values, such as optimizer.name=sgd,adam; may be repeated.",
)
@study_options
@click.option("--test", is_flag=True, help="Also show each run's test accuracy, which must not select anything.")
@click.option("--out", type=PATH, metavar="DIR", help="Folder of the runs. Default: runs/sweep-RECIPE.")
@on_options
@console_options
def command(console: Console, grid: tuple[tuple[str, list[Any]], ...], **options: Any) -> None:
    """Train every combination of --grid values once, and compare them by validation accuracy.

    RECIPE is a shipped recipe or a file; each combination is put into it. The table is left as sweep.csv and
    sweep.json after every run. The same command again goes on where it was stopped: finished runs are not repeated.
    """
    from edge_fm.api.studies.sweep import sweep

    if len(dict(grid)) < len(grid):
        raise click.BadParameter("A key is given twice; write its values in one: KEY=A,B,C.", param_hint="--grid")

    def on_begin(number: int, of: int, values: Mapping[str, Any]) -> None:
        console.note(f"{number}/{of}  {format_values(values)}")

    result = call_interruptibly(console, sweep, grid=dict(grid), on_begin=on_begin, **options)
    console.show(result, print_sweep)
    if result.best is not None:
        console.next(f"edgefm evaluate {shell_word(result.best.run)}")
