"""`edgefm search`: the best values for a recipe, by validation accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_fm.cli.console.common import Talk, output_options, print_json, print_table, word
from edge_fm.cli.console.interrupt import many_runs, typed_command

if TYPE_CHECKING:
    from edge_fm.training.search.search import SearchResult


@click.command("search")
@click.argument("recipe_name", metavar="RECIPE")
@click.option(
    "--trials", type=click.IntRange(1), help="Trials that the study shall have in all. Default: the recipe's."
)
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Begin no trial after so many seconds.")
@click.option(
    "--storage",
    metavar="URL",
    help="Database that several processes share, such as sqlite:///study.db or postgresql://... Default: study.db "
    "in the output folder.",
)
@click.option("--study", metavar="NAME", help="Name of the study in the storage. Default: the recipe's.")
@click.option("--data", "source", metavar="SOURCE", help="What to learn from. Default: the recipe's.")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the training images. Default: the recipe's.")
@click.option("--seed", type=int, help="Of everything random, the draws too. Default: the recipe's.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the trials. Default: runs/search-RECIPE."
)
@output_options
def command(
    recipe_name: str,
    trials: int | None,
    timeout: float | None,
    storage: str | None,
    study: str | None,
    source: str | None,
    epochs: int | None,
    seed: int | None,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Search the space in RECIPE's [search] table with Optuna; write the best recipe, for `edgefm train --recipe`.

    RECIPE is a file or a shipped recipe. Trials are chosen and pruned by validation accuracy; the test split is never
    touched. Several processes may run this command at once and share the study. Killed or stopped, the same command
    goes on, unfinished trials included.
    """
    from edge_fm.api.studies import search

    talk = Talk(quiet)

    def on_trial(number: int, of: int, values: Mapping[str, Any]) -> None:
        talk.note(
            f"trial {number} ({of} in all)  " + "  ".join(f"{key}={_short(value)}" for key, value in values.items())
        )

    with many_runs(talk) as progress:
        report = search(
            recipe_name,
            trials=trials,
            timeout_s=timeout,
            storage=storage,
            study=study,
            data=source,
            epochs=epochs,
            seed=seed,
            out=out,
            progress=progress,
            on_trial=on_trial,
            note=talk.note,
        )
    result = report.result
    running = sum(trial["state"] == "running" for trial in result.trials)
    if running:
        talk.note(
            f"{running} trials still run in other processes; {report.out}/search.json holds what is known by now."
        )
    if as_json:
        print_json(report.to_json())
    else:
        _print(result, result.recipe, report.dimensions, report.out)
    if result.best_recipe is not None:
        talk.next(f"edgefm train --recipe {word(result.best_recipe)}")
    else:
        talk.next(typed_command())


def _print(result: SearchResult, recipe: str, paths: Sequence[str], out: Path) -> None:
    rows = [
        [
            f"{trial['number']}{' *' if result.best and trial['number'] == result.best['number'] else ''}",
            trial["state"],
            *(_short(trial["values"].get(path, "-")) for path in paths),
            "-" if trial["val_accuracy"] is None else f"{100 * trial['val_accuracy']:.2f}",
            str(trial["epochs"]),
            "-" if trial["seconds"] is None else f"{trial['seconds']:.0f}",
        ]
        for trial in result.trials
    ]
    last = len(paths) + 2
    columns = ["trial", "state", *paths, "validation %", "epochs", "s"]
    title = f"Search of {recipe} in {out} (* best)"
    print_table(title, columns, rows, right=(last, last + 1, last + 2), lesser=["s", "epochs"])


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
