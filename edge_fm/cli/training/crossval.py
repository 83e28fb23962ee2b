"""`edgefm crossval`: mean and spread of a recipe's accuracy over folds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_fm.api.common.places import DEFAULT_RECIPE
from edge_fm.api.studies import FOLDS, crossval
from edge_fm.cli.console.common import Talk, output_options, print_json, print_table, word
from edge_fm.cli.console.interrupt import many_runs

if TYPE_CHECKING:
    from edge_fm.training.search.crossval import CrossValidation


@click.command("crossval")
@click.argument("recipe_name", metavar="[RECIPE]", default=DEFAULT_RECIPE)
@click.option("--folds", type=click.IntRange(2), default=FOLDS, show_default=True, help="Parts, each held out once.")
@click.option("--data", "source", metavar="SOURCE", help="What to learn from. Default: the recipe's.")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the training images. Default: the recipe's.")
@click.option("--seed", type=int, help="Of everything random, the folds too. Default: the recipe's.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the runs. Default: runs/crossval-RECIPE."
)
@output_options
def command(
    recipe_name: str,
    folds: int,
    source: str | None,
    epochs: int | None,
    seed: int | None,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train a recipe once for each fold of the training images, and judge each run by the fold it never saw.

    Folds have equal shares of each class; copies of an image stay together; the test split is not used. Each fold's run
    is kept, and the same command again goes on where it was stopped.
    """
    talk = Talk(quiet)
    with many_runs(talk) as progress:
        result = crossval(
            recipe_name,
            folds=folds,
            data=source,
            epochs=epochs,
            seed=seed,
            out=out,
            progress=progress,
            on_fold=lambda number, of: talk.note(f"fold {number}/{of}"),
            note=talk.note,
        )
    if as_json:
        print_json(result.to_json())
    else:
        _print(result)
    talk.next(f"edgefm train --recipe {word(recipe_name)}")


def _print(result: CrossValidation) -> None:
    rows = [
        [str(s.fold), f"{100 * s.accuracy:.2f}", f"{s.loss:.4f}", f"{s.train_images:,}", f"{s.held_out:,}", s.run]
        for s in result.scores
    ]
    title = (
        f"{result.recipe} on {result.data}: {100 * result.mean:.2f}% ± {100 * result.std:.2f} "
        f"(mean and standard deviation of {len(result.scores)} folds)"
    )
    columns = ["fold", "accuracy %", "loss", "learned from", "judged by", "run"]
    print_table(title, columns, rows, right=(1, 2, 3, 4), lesser=["learned from", "judged by"])
