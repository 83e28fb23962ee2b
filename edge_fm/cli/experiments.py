"""`edgefm experiments`: published reports on Fashion-MNIST, reported beside achieved."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_fm.api.places import RUNS
from edge_fm.cli.common import Talk, output_options, print_json, print_table, say, word
from edge_fm.cli.interrupt import many_runs

if TYPE_CHECKING:
    from edge_fm.experiments import Experiment

_SOME_FAILED = 4


@click.command("experiments")
@click.option("--run", "names", multiple=True, metavar="NAME", help="Rerun an experiment; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="Rerun all that were not run, or whose recipe has changed.")
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
    default=RUNS / "experiments",
    show_default=True,
    help="Folder of the runs.",
)
@output_options
def command(
    names: tuple[str, ...],
    everything: bool,
    weights: str | None,
    changes: tuple[str, ...],
    results: Path | None,
    pairings_of: Path | None,
    out: Path,
    as_json: bool,
    quiet: bool,
) -> None:
    """List published reports on Fashion-MNIST and rerun them: the accuracy reported beside the one achieved.

    Each row's recipe is shipped: `edgefm train --recipe NAME` runs it too. Achieved accuracies are those of the kept
    results, whose recipe hash says whether the recipe is still the one that was run. Stopped, the same command goes on.
    """
    from edge_fm.experiments import experiment_rows, find_experiment, kept_results, load_experiments
    from edge_fm.experiments.results import KEPT

    talk = Talk(quiet)
    if pairings_of is not None:
        _print_pairings(pairings_of, as_json)
        return
    results = out / "results" if results is None else results
    edits = _changes(weights, changes)
    if edits and not names:
        raise click.UsageError("--weights and --set belong to --run NAME.")
    failed: dict[str, str] = {}
    if names or everything:
        chosen = [find_experiment(name) for name in names]
        if everything:
            rows = experiment_rows(kept_results(KEPT, results))
            due = {row["name"] for row in rows if row["status"] != "run"}
            chosen += [row for row in load_experiments() if row.name in due and row not in chosen]
        failed = _run(chosen, edits, out, results, talk, stop_at_error=not everything)
    rows = experiment_rows(kept_results(KEPT, results))
    if names and not everything:
        rows = [row for row in rows if row["name"] in names]
    if as_json:
        print_json({"experiments": [{**row, "error": failed.get(row["name"])} for row in rows]})
    else:
        _print(rows)
    left = [row["name"] for row in rows if row["status"] != "run"]
    if left and not failed:
        talk.next(f"edgefm experiments --run {word(left[0])}")
    if failed:
        sys.exit(_SOME_FAILED)


def _changes(weights: str | None, changes: tuple[str, ...]) -> dict[str, Any]:
    from edge_fm.training.keys import parse_value

    edits: dict[str, Any] = {} if weights is None else {"model.weights": weights}
    for text in changes:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE, such as training.epochs=1.", param_hint="--set")
        edits[key.strip()] = parse_value(value.strip())
    return edits


def _run(
    chosen: list[Experiment], edits: dict[str, Any], out: Path, results: Path, talk: Talk, *, stop_at_error: bool
) -> dict[str, str]:
    """Run one after the other and keep each result; returns the errors."""
    from edge_fm.experiments import run_experiment, write_result
    from edge_fm_runtime.errors import EdgeFMError

    failed: dict[str, str] = {}

    def on_epoch(epoch: int, epochs: int, row: dict[str, float]) -> None:
        talk.note(
            f"epoch {epoch:3}/{epochs}  loss {row['loss']:.4f}  val_accuracy {100 * row['val_accuracy']:.2f}%  "
            f"{row['seconds']:.1f} s"
        )

    with many_runs(talk) as progress:
        for number, experiment in enumerate(chosen, start=1):
            talk.note(f"{number}/{len(chosen)}  {experiment.name}: {experiment.source}")
            try:
                result = run_experiment(experiment, out, changes=edits, progress=progress, on_epoch=on_epoch)
            except EdgeFMError as error:
                if stop_at_error:
                    raise
                failed[experiment.name] = error.message
                talk.note(f"Error: {error}")
                continue
            talk.note(f"Wrote {write_result(results, result)}")
    return failed


def _print(rows: list[dict[str, Any]]) -> None:
    cells = []
    notes: dict[str, int] = {}
    for row in rows:
        marks = str(notes.setdefault(row["note"], len(notes) + 1)) if row["note"] else ""
        achieved = row["achieved_accuracy"]
        name = f"  {row['name']}" if row["variant_of"] else row["name"]
        cells.append(
            [
                name,
                row["report"]["letter"],
                row["model"],
                "-" if row["reported_accuracy"] is None else f"{100 * row['reported_accuracy']:.2f}",
                row["status"] if achieved is None else f"{100 * achieved:.2f}",
                "-" if row["difference_points"] is None else f"{row['difference_points']:+.2f}",
                "-" if achieved is None else f"{row['seconds']:.0f}",
                marks,
            ]
        )
    columns = ["experiment", "report", "model", "reported %", "achieved %", "difference", "s", "note"]
    print_table(
        "Published reports on Fashion-MNIST, rerun", columns, cells, right=(3, 4, 5, 6), lesser=["report", "s", "model"]
    )
    click.echo("Reports, by what is known of them:")
    for letter, name in {row["report"]["letter"]: row["report"]["name"] for row in rows}.items():
        click.echo(f"  {letter}  {name}")
    if notes:
        click.echo("Notes:")
    for note, number in notes.items():
        say(f"{number:>3}  {note}")


def _print_pairings(run: Path, as_json: bool) -> None:
    from edge_fm.experiments import best_pairings, validation_confusion

    confusion, labels = validation_confusion(run)
    found = dict(zip(("most", "least"), best_pairings(confusion), strict=True))
    if as_json:
        print_json(
            {
                "run": str(run),
                "images": int(confusion.sum()),
                "labels": list(labels),
                **{
                    kind: {"pairs": pairing.pairs, "confused": pairing.confused, "relabel": pairing.relabel(labels)}
                    for kind, pairing in found.items()
                },
            }
        )
        return
    rows = [
        [kind, ", ".join(f"{labels[a]} + {labels[b]}" for a, b in pairing.pairs), str(pairing.confused)]
        for kind, pairing in found.items()
    ]
    title = f"Pairs of classes by how {run} confuses them on {int(confusion.sum()):,} validation images"
    print_table(title, ["confused", "pairs", "images"], rows, right=(2,), wraps=["pairs"])
