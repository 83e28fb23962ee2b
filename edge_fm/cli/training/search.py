"""`edgefm search`: the best values for a recipe, by validation accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from edge_fm.cli.console.console import Console, shell_word
from edge_fm.cli.console.interrupt import call_interruptibly, typed_command
from edge_fm.cli.console.study_tables import format_values, print_trials
from edge_fm.cli.options import COUNT, PATH, console_options, on_options, study_options


@click.command("search")
@click.argument("recipe", metavar="[RECIPE]", required=False)
@click.option("--trials", type=COUNT, help="Trials that the study shall have in all. Default: the recipe's.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    help="Begin no trial after so many seconds.",
)
@click.option(
    "--storage",
    metavar="URL",
    help="Database that several processes share, such as sqlite:///study.db or postgresql://... Default: study.db "
    "in the output folder.",
)
@click.option("--study", metavar="NAME", help="Name of the study in the storage. Default: the recipe's.")
@study_options
@click.option("--seed", type=int, help="Of everything random, the draws too. Default: the recipe's.")
@click.option("--out", type=PATH, metavar="DIR", help="Folder of the trials. Default: runs/search-RECIPE.")
@on_options
@console_options
def command(console: Console, **options: Any) -> None:
    """Search the space in RECIPE's [search] table with Optuna; write the best recipe, for `edgefm train --recipe`.

    RECIPE is a file or a shipped recipe; without one, colour photos are searched with the recipe photo. Trials are
    selected and pruned by validation accuracy; the test split is never used. Several processes may run this command at
    once and share the study. Killed or stopped, the same command goes on, unfinished trials included.
    """
    from edge_fm.api.studies.search import search

    def on_trial(number: int, of: int, values: Mapping[str, Any]) -> None:
        console.note(f"trial {number} ({of} in all)  {format_values(values)}")

    report = call_interruptibly(console, search, on_trial=on_trial, **options)
    running = sum(trial["state"] == "running" for trial in report.result.trials)
    if running:
        still = "1 trial still runs" if running == 1 else f"{running} trials still run"
        console.note(f"{still} in other processes; {report.out}/search.json holds what is known by now.")
    console.show(report, print_trials)
    best = report.result.best_recipe
    console.next(typed_command() if best is None else f"edgefm train --recipe {shell_word(best)}")
