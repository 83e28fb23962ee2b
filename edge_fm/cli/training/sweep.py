"""`edgefm sweep`: every combination of a few values in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_fm.api.common.places import DEFAULT_RECIPE
from edge_fm.cli.console.common import Talk, output_options, print_json, print_table, word
from edge_fm.cli.console.interrupt import many_runs

if TYPE_CHECKING:
    from edge_fm.training.search.sweep import SweepRow


@click.command("sweep")
@click.argument("recipe_name", metavar="[RECIPE]", default=DEFAULT_RECIPE)
@click.option(
    "--grid",
    "grids",
    multiple=True,
    required=True,
    metavar="KEY=A,B,...",
    help="A key of the recipe and its values, such as optimizer.name=sgd,adam; may be repeated.",
)
@click.option("--data", "source", metavar="SOURCE", help="What to learn from. Default: the recipe's.")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the training images. Default: the recipe's.")
@click.option(
    "--test", is_flag=True, help="Also show each run's test accuracy. Nothing is chosen by it, and nothing should be."
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the runs. Default: runs/sweep-RECIPE."
)
@output_options
def command(
    recipe_name: str,
    grids: tuple[str, ...],
    source: str | None,
    epochs: int | None,
    test: bool,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train every combination of --grid values once, and compare them by validation accuracy.

    RECIPE is a shipped recipe or a file; each combination is put into it. The table is left as sweep.csv and
    sweep.json after every run. The same command again goes on where it was stopped: finished runs are not repeated.
    """
    from edge_fm.api.studies import sweep

    talk = Talk(quiet)
    grid = dict(_parse(text) for text in grids)
    if len(grid) < len(grids):
        raise click.BadParameter("A key is given twice; write its values in one: KEY=A,B,C.", param_hint="--grid")

    def begin(number: int, of: int, values: Mapping[str, Any]) -> None:
        talk.note(f"{number}/{of}  " + "  ".join(f"{key}={value}" for key, value in values.items()))

    with many_runs(talk) as progress:
        result = sweep(
            grid,
            recipe_name,
            data=source,
            epochs=epochs,
            test=test,
            out=out,
            progress=progress,
            on_begin=begin,
            note=talk.note,
        )
    best = result.best
    if as_json:
        print_json(result.to_json())
    else:
        _print(result.rows, best, result.recipe.name, list(grid), result.out, test=test)
    if best is not None:
        talk.next(f"edgefm evaluate {word(best.run)}")


def _print(
    rows: Sequence[SweepRow], best: SweepRow | None, recipe: str, keys: Sequence[str], out: Path, *, test: bool
) -> None:
    columns = [*keys, "validation %", "loss", "best epoch", "s", *(["test % (chooses nothing)"] if test else [])]
    cells = []
    for row in rows:
        mark = " *" if row is best else ""
        figures = (
            [
                f"{100 * row.val_accuracy:.2f}{mark}",
                f"{row.val_loss:.4f}",
                str(row.best_epoch),
                f"{row.seconds:.0f}",
            ]
            if row.val_accuracy is not None
            else ["diverged", "-", "-", "-"]
        )
        tested = ["-" if row.test_accuracy is None else f"{100 * row.test_accuracy:.2f}"] if test else []
        cells.append([*(str(value) for value in row.values.values()), *figures, *tested])
    right = range(len(keys), len(columns))
    title = f"Sweep of {recipe} in {out} (* best on validation)"
    print_table(title, columns, cells, right=list(right), lesser=["s", "best epoch", "loss"])


def _parse(text: str) -> tuple[str, list[Any]]:
    """Read KEY=A,B: values as TOML writes them, else as words."""
    from edge_fm.training.recipe.keys import parse_value
    from edge_fm.training.recipe.toml_text import parse_toml

    key, equals, values = text.partition("=")
    if not key or not equals or not values:
        raise click.BadParameter(f"{text!r} is not KEY=A,B,... such as training.batch_size=16,32.", param_hint="--grid")
    try:
        table = parse_toml(f"values = [{values}]")
    except ValueError:
        return key.strip(), [parse_value(value.strip()) for value in values.split(",")]
    return key.strip(), table["values"]
