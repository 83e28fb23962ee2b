"""`edgefm crossval`: mean and spread of a recipe's accuracy over folds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_fm.api.places import RUNS
from edge_fm.cli.common import Talk, output_options, print_json, print_table, word
from edge_fm.cli.interrupt import many_runs

if TYPE_CHECKING:
    from edge_fm.training.crossval import CrossValidation


@click.command("crossval")
@click.argument("recipe_name", metavar="[RECIPE]", default="edgenet-s")
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Parts, each held out once.")
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
    from edge_fm.training import load_recipe, with_overrides
    from edge_fm.training.crossval import cross_validate
    from edge_fm.training.enough_steps import is_recipe_file, with_enough_epochs
    from edge_fm.training.recipe_data import load_recipe_data

    talk = Talk(quiet)
    shipped = load_recipe(recipe_name)
    recipe = with_overrides(shipped, data=source, epochs=epochs, seed=seed)
    out = RUNS / f"crossval-{recipe.name}" if out is None else out
    with many_runs(talk) as progress:
        dataset = load_recipe_data(recipe, progress=progress, on_try=talk.note)
        from_file = is_recipe_file(recipe_name)
        if from_file or recipe.data.source != shipped.data.source:
            recipe, lines = with_enough_epochs(recipe, dataset, chosen=from_file or epochs is not None)
            for line in lines:
                talk.note(line)
        result = cross_validate(
            recipe,
            dataset,
            out,
            folds=folds,
            progress=progress,
            on_fold=lambda number, of: talk.note(f"fold {number}/{of}"),
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
