"""`edgefm crossval`: mean and spread of a recipe's accuracy over folds."""

from __future__ import annotations

from typing import Any

import click

from edge_fm.api.studies.crossval import FOLDS, crossval
from edge_fm.cli.console.console import Console, shell_word
from edge_fm.cli.console.interrupt import call_interruptibly
from edge_fm.cli.console.study_tables import print_folds
from edge_fm.cli.options import PATH, console_options, on_options, study_options


@click.command("crossval")
@click.argument("recipe", metavar="[RECIPE]", required=False)
@click.option("--folds", type=click.IntRange(2), default=FOLDS, show_default=True, help="Parts, each held out once.")
@study_options
@click.option("--seed", type=int, help="Of everything random, the folds too. Default: the recipe's.")
@click.option("--out", type=PATH, metavar="DIR", help="Folder of the runs. Default: runs/crossval-RECIPE.")
@on_options
@console_options
def command(console: Console, **options: Any) -> None:
    """Train a recipe once for each fold of the training images, and evaluate each run on the fold it never saw.

    Folds have equal shares of each class; copies of an image stay together; the test split is not used. Each fold's run
    is stored, and the same command again goes on where it was stopped.
    """

    def on_fold(number: int, of: int) -> None:
        console.note(f"fold {number}/{of}")

    result = call_interruptibly(console, crossval, on_fold=on_fold, **options)
    console.show(result, print_folds)
    console.next(f"edgefm train --recipe {shell_word(options['recipe'] or result.recipe)}")
