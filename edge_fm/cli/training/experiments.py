"""`edgefm experiments`: published reports on Fashion-MNIST, reported beside achieved."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_fm.api.experiments import EXPERIMENTS
from edge_fm.cli.console.common import Talk, output_options, print_json, print_table, word
from edge_fm.cli.console.experiments_table import print_rows
from edge_fm.cli.console.interrupt import many_runs
from edge_fm_runtime.progress import silent

if TYPE_CHECKING:
    from edge_fm.api.experiments import ClassPairs

_SOME_FAILED = 4
_MOST = 2**32
"""Seeds are below this."""


@click.command("experiments")
@click.option("--run", "names", multiple=True, metavar="NAME", help="Rerun an experiment; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="Rerun all that were not run, or are out of date.")
@click.option(
    "--seeds",
    metavar="LIST",
    help="With --run or --all: run each with these seeds, such as 0,1,2. The table shows their median and spread.",
)
@click.option(
    "--weights", metavar="imagenet|none|FILE", help="Weights to start from, where ImageNet's cannot be downloaded."
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Only try: change a key of the recipe, such as training.epochs=1. The result is kept as a trial.",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where results are kept and looked for, besides those that come with the package. Default: results/ in --out.",
)
@click.option(
    "--report",
    "page",
    type=click.Path(path_type=Path, file_okay=False),
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
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    default=EXPERIMENTS,
    show_default=True,
    help="Folder of the runs.",
)
@output_options
def command(
    names: tuple[str, ...],
    everything: bool,
    seeds: str | None,
    weights: str | None,
    changes: tuple[str, ...],
    results: Path | None,
    page: Path | None,
    pairings_of: Path | None,
    out: Path,
    as_json: bool,
    quiet: bool,
) -> None:
    """List published reports on Fashion-MNIST and rerun them: the accuracy reported beside the one achieved.

    Each row's recipe is shipped: `edgefm train --recipe NAME` runs it too. Achieved accuracies are those of the kept
    results, the median where several seeds were run; a result whose recipe, model or data has changed since is out of
    date and not shown. Stopped, the same command goes on.
    """
    from edge_fm.api.experiments import pair_classes, run_experiments

    talk = Talk(quiet)
    if pairings_of is not None:
        _print_pairings(pair_classes(pairings_of), as_json)
        return
    edits = _changes(weights, changes)
    wanted = _seeds(seeds)
    runs = bool(names) or everything
    if (edits or wanted) and not runs:
        raise click.UsageError("--weights, --set and --seeds belong to --run NAME or --all.")
    if edits and not names:
        raise click.UsageError("--weights and --set belong to --run NAME.")
    if wanted and "seed" in edits:
        raise click.UsageError("--seeds and --set seed=N exclude each other.")

    def on_epoch(epoch: int, epochs: int, row: dict[str, float]) -> None:
        talk.note(
            f"epoch {epoch:3}/{epochs}  loss {row['loss']:.4f}  val_accuracy {100 * row['val_accuracy']:.2f}%  "
            f"{row['seconds']:.1f} s"
        )

    with many_runs(talk) if runs else nullcontext(silent) as progress:
        result = run_experiments(
            names,
            everything=everything,
            seeds=wanted,
            changes=edits,
            results=results,
            report=page,
            out=out,
            progress=progress,
            on_epoch=on_epoch,
            note=talk.note,
        )
    if as_json:
        print_json(result.to_json())
    else:
        print_rows(result.rows, () if names and not everything else result.studies)
    left = [row["name"] for row in result.rows if row["status"] != "run"]
    if left and not result.failed:
        talk.next(f"edgefm experiments --run {word(left[0])}")
    if result.failed:
        sys.exit(_SOME_FAILED)


def _seeds(text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) < _MOST for part in parts):
        raise click.BadParameter(
            f"{text!r} is no list of seeds, whole numbers of 0 to {_MOST - 1}, such as 0,1,2.", param_hint="--seeds"
        )
    if len(set(map(int, parts))) < len(parts):
        raise click.BadParameter(f"{text!r} names a seed twice.", param_hint="--seeds")
    return tuple(map(int, parts))


def _changes(weights: str | None, changes: tuple[str, ...]) -> dict[str, Any]:
    from edge_fm.training.recipe.keys import parse_value

    edits: dict[str, Any] = {} if weights is None else {"model.weights": weights}
    for text in changes:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE, such as training.epochs=1.", param_hint="--set")
        edits[key.strip()] = parse_value(value.strip())
    return edits


def _print_pairings(pairs: ClassPairs, as_json: bool) -> None:
    if as_json:
        print_json(pairs.to_json())
        return
    labels = pairs.labels
    rows = [
        [kind, ", ".join(f"{labels[a]} + {labels[b]}" for a, b in pairing.pairs), str(pairing.confused)]
        for kind, pairing in pairs.pairings.items()
    ]
    title = f"Pairs of classes by how {pairs.run} confuses them on {pairs.images:,} validation images"
    print_table(title, ["confused", "pairs", "images"], rows, right=(2,), wraps=["pairs"])
