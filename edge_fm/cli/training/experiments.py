"""`edgefm experiments`: published reports on Fashion-MNIST, reported beside achieved."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from edge_fm.api.experiments import EXPERIMENTS
from edge_fm.cli.console.console import Console, shell_word
from edge_fm.cli.console.experiments_table import print_pairs, print_rows
from edge_fm.cli.console.interrupt import call_interruptibly
from edge_fm.cli.console.train_run import epoch_printer
from edge_fm.cli.options import FOLDER, Parsed, console_options, each_once, setting

_SOME_FAILED = 4
_LARGEST_SEED = 2**32 - 1


def _parse_seeds(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) <= _LARGEST_SEED for part in parts):
        raise ValueError(f"{text!r} is not a list of seeds, whole numbers of 0 to {_LARGEST_SEED}, such as 0,1,2.")
    seeds = tuple(map(int, parts))
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"{text!r} names a seed twice.")
    return seeds


@click.command("experiments")
@click.option("--run", "names", multiple=True, metavar="NAME", help="Rerun an experiment; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="Rerun all that were not run, or are out of date.")
@click.option(
    "--seeds",
    type=Parsed("seeds", _parse_seeds),
    default=(),
    metavar="LIST",
    help="With --run or --all: run each with these seeds, such as 0,1,2. The table shows their median and spread.",
)
@click.option(
    "--weights", metavar="imagenet|none|FILE", help="Weights to start from, where ImageNet's cannot be downloaded."
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "mixed_bfloat16"]),
    help="With --run or --all: arithmetic of training in place of the recipe's own. mixed_bfloat16 is faster on a CPU "
    "with AMX or AVX512-BF16; the table says which rows were trained so.",
)
@click.option(
    "--set",
    "changes",
    type=setting("training.epochs=1"),
    multiple=True,
    metavar="KEY=VALUE",
    help="Only try: change a key of the recipe, such as training.epochs=1. The result is stored as a trial.",
)
@click.option(
    "--results",
    type=FOLDER,
    metavar="DIR",
    help="Where results are stored and read, besides those that come with the package. Default: results/ in --out.",
)
@click.option(
    "--report",
    type=FOLDER,
    metavar="DIR",
    help="Write DIR/experiments.html: every report's table, the studies as plots, confusion matrices and curves.",
)
@click.option(
    "--pairings",
    "pairings_of",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="RUN",
    help="Print which classes RUN's model confuses most and least on validation images, in pairs, and do nothing else.",
)
@click.option("--out", type=FOLDER, metavar="DIR", default=EXPERIMENTS, show_default=True, help="Folder of the runs.")
@console_options
def command(
    console: Console,
    weights: str | None,
    changes: tuple[tuple[str, Any], ...],
    pairings_of: Path | None,
    **options: Any,
) -> None:
    """List published reports on Fashion-MNIST and rerun them: the accuracy reported beside the one achieved.

    Each row's recipe is shipped: `edgefm train --recipe NAME` runs it too. Achieved accuracies are those of the stored
    results, the median where several seeds were run; a result whose recipe, model or data has changed since is out of
    date and not shown. Stopped, the same command goes on.
    """
    from edge_fm.api.experiments import pair_classes, run_experiments

    if pairings_of is not None:
        console.show(pair_classes(pairings_of), print_pairs)
        return
    names, everything, seeds = options["names"], options["everything"], options["seeds"]
    edits = ({} if weights is None else {"model.weights": weights}) | each_once(changes, "--set")
    if (edits or seeds or options["precision"]) and not (names or everything):
        raise click.UsageError("--weights, --set, --seeds and --precision belong to --run NAME or --all.")
    if edits and not names:
        raise click.UsageError("--weights and --set belong to --run NAME.")
    if seeds and "seed" in edits:
        raise click.UsageError("--seeds and --set seed=N exclude each other.")
    if weights is not None and "model.weights" in dict(changes):
        raise click.UsageError("--weights and --set model.weights=... exclude each other.")
    if options["precision"] and "training.precision" in edits:
        raise click.UsageError("--precision and --set training.precision=... exclude each other.")
    if names or everything:
        on_epoch = epoch_printer(console)
        result = call_interruptibly(console, run_experiments, changes=edits, on_epoch=on_epoch, **options)
    else:
        result = run_experiments(**options, note=console.note)
    console.show(result, print_rows, result.rows, () if names and not everything else result.studies)
    # Those last that were only tried: their weights were not at hand.
    left = sorted((row for row in result.rows if row["status"] != "run"), key=lambda row: row["status"] == "tried")
    if left and not result.failed:
        console.next(f"edgefm experiments --run {shell_word(left[0]['name'])}")
    if result.failed:
        sys.exit(_SOME_FAILED)
