"""`run_experiments` and `pair_classes`: published reports on Fashion-MNIST, reported beside achieved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.api.common.places import RUNS
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent

if TYPE_CHECKING:
    from edge_fm.experiments import Experiment, Pairing, Result, Study
    from edge_fm.training import EpochFn

EXPERIMENTS = RUNS / "experiments"
"""Folder of the runs, where none is named."""


@dataclass(frozen=True, eq=False)
class ExperimentsResult:
    """Published experiments beside what was achieved.

    Attributes:
        rows: one for each experiment, as `edgefm experiments --json` prints them.
        studies: experiments that differ in one number.
        failed: name -> error of those that could not be run.
    """

    rows: tuple[dict[str, Any], ...]
    studies: tuple[Study, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm experiments --json` prints."""
        return {
            "experiments": [{**row, "error": self.failed.get(row["name"])} for row in self.rows],
            "studies": [asdict(study) for study in self.studies],
        }


@dataclass(frozen=True, eq=False)
class ClassPairs:
    """Which classes a model confuses most and least, in pairs.

    Attributes:
        run: whose model it is.
        images: validation images that were counted.
        labels: names of the classes.
        pairings: "most" and "least".
    """

    run: Path
    images: int
    labels: tuple[str, ...]
    pairings: Mapping[str, Pairing]

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm experiments --pairings RUN --json` prints."""
        return {
            "run": str(self.run),
            "images": self.images,
            "labels": list(self.labels),
            **{
                kind: {"pairs": pairing.pairs, "confused": pairing.confused, "relabel": pairing.relabel(self.labels)}
                for kind, pairing in self.pairings.items()
            },
        }


def run_experiments(
    names: Sequence[str] = (),
    *,
    everything: bool = False,
    seeds: Sequence[int] = (),
    changes: Mapping[str, Any] | None = None,
    precision: str | None = None,
    results: Path | None = None,
    report: Path | None = None,
    out: Path = EXPERIMENTS,
    progress: ProgressFn = silent,
    on_epoch: EpochFn | None = None,
    note: MessageFn = ignore_message,
) -> ExperimentsResult:
    """Rerun published experiments, if any are named, and list them: the accuracy reported beside the one achieved.

    Args:
        names: to rerun; none lists all of them.
        everything: rerun all that were not run, or are out of date.
        seeds: run each with these; none for each recipe's own.
        changes: only try, with these keys of the recipe changed, such as {"training.epochs": 1}.
        precision: of the arithmetic of training, in place of each recipe's own: "mixed_bfloat16" is faster on a CPU
            that has instructions for it. The rows say so.
        results: where results are stored and read, besides those of the package; None for results/ in `out`.
        report: folder for experiments.html; None writes nothing.
        out: folder of the runs.
        progress: called as work goes on.
        on_epoch: called with each epoch's figures.
        note: called before and after each run.

    Raises:
        EdgeFMError: an experiment is unknown, or fails; with `everything`, the failed ones are in the result instead.
    """
    from edge_fm.experiments import experiment_rows, find_experiment, rows_due, stored_results, studies_of
    from edge_fm.experiments.results import PRECISION, STORED_RESULTS

    edits = dict(changes or {}) | ({} if precision is None else {PRECISION: precision})
    results = out / "results" if results is None else results
    if report is not None:
        from edge_fm.evaluation.page import require_pages

        require_pages()
    failed: dict[str, str] = {}
    done: list[Result] = []
    if names or everything:
        due = [(name, seed) for name in dict.fromkeys(names) for seed in seeds or (None,)]
        if everything:
            rows = experiment_rows(stored_results(STORED_RESULTS, results))
            due += [one for one in rows_due(rows, tuple(seeds)) if one not in due]
            due.sort(key=lambda one: find_experiment(one[0]).recipe.training.epochs)  # longer runs go on from shorter
        selected = [(find_experiment(name), seed) for name, seed in due]
        failed, done = _run(selected, edits, out, results, progress, on_epoch, note, stop_at_error=not everything)
    stored = stored_results(STORED_RESULTS, results)
    every_row = rows = experiment_rows(stored)
    if names and not everything:
        # A trial is shown as what it is, even where a run in full is stored.
        rows = [
            row for row in (experiment_rows(done) if set(edits) - {PRECISION} else every_row) if row["name"] in names
        ]
    studies = studies_of(every_row)
    if report is not None:
        from edge_fm.experiments.page import write_page

        note(f"Wrote {write_page(report, every_row, studies, stored, runs=out)}")
    return ExperimentsResult(tuple(rows), tuple(studies), failed)


def pair_classes(run: Path) -> ClassPairs:
    """Find the pairs of classes that a run's model confuses most and least on its validation images."""
    from edge_fm.experiments import best_pairings, validation_confusion

    confusion, labels = validation_confusion(run)
    found = dict(zip(("most", "least"), best_pairings(confusion), strict=True))
    return ClassPairs(run, int(confusion.sum()), tuple(labels), found)


def _run(
    selected: Sequence[tuple[Experiment, int | None]],
    edits: Mapping[str, Any],
    out: Path,
    results: Path,
    progress: ProgressFn,
    on_epoch: EpochFn | None,
    note: MessageFn,
    *,
    stop_at_error: bool,
) -> tuple[dict[str, str], list[Result]]:
    """Run each with its seed, one after the other, and store each result; returns the errors and the results."""
    from edge_fm.experiments import run_experiment, write_result
    from edge_fm_runtime.errors import EdgeFMError

    failed: dict[str, str] = {}
    done: list[Result] = []
    for number, (experiment, seed) in enumerate(selected, start=1):
        with_seed = "" if seed is None else f", seed {seed}"
        note(f"{number}/{len(selected)}  {experiment.name}{with_seed}: {experiment.source}")
        try:
            result = run_experiment(
                experiment, out, changes=edits, seed=seed, progress=progress, on_epoch=on_epoch, note=note
            )
        except EdgeFMError as error:
            if stop_at_error:
                raise
            failed[experiment.name] = error.message
            note(f"Error: {error}")
            continue
        done.append(result)
        note(f"Wrote {write_result(results, result, own_seed=experiment.recipe.seed)}")
    return failed, done
