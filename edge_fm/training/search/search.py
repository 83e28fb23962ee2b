"""Search a recipe's best values by validation accuracy; the test split is never touched."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from edge_fm.training.recipe import Recipe
from edge_fm.training.recipe.checks import require_one_class
from edge_fm.training.recipe.file import recipe_toml
from edge_fm.training.recipe.identity import recipe_hash
from edge_fm.training.recipe.keys import value_at, with_keys
from edge_fm.training.recipe.search_space import SearchPlan
from edge_fm.training.run import run_folder
from edge_fm.training.run.fit import EpochFn
from edge_fm.training.run.selection import rank, selection_key
from edge_fm.training.search.certain_values import certain_values
from edge_fm.training.search.search_study import (
    AGAIN,
    OWNER,
    file_lock,
    no_experimental_warnings,
    open_study,
    require_optuna,
    revive_dead_trials,
    sqlite_url,
    suggest_values,
    this_process,
)
from edge_fm.training.search.trainings import OneProcess, PlannedRun, Trainings
from edge_fm_runtime.errors import DivergedError
from edge_fm_runtime.progress import ProgressFn, silent

if TYPE_CHECKING:
    from edge_fm.data import Dataset

BEST_FILE, RESULT_FILE, STUDY_FILE = "best.toml", "search.json", "study.db"
TrialFn: TypeAlias = Callable[[int, int, Mapping[str, Any]], None]
"""Called as `on_trial(number, of, values)` before each trial; the number is the one that `trials` has."""


@dataclass(frozen=True)
class SearchResult:
    """The state of a study.

    Attributes:
        study, storage: where it is.
        recipe: name of the recipe that was searched.
        trials: of every trial, in their order: number, state (complete, pruned, failed, running, waiting), values,
            val_accuracy (the best epoch's), epochs, seconds, seed, recipe_hash, run, error, again_of.
        best: the complete trial with the best validation figure, or None.
        best_recipe: the file that `edgefm train --recipe` runs, or None.
        chosen_by: the figure that selects, as the recipe's `select_by` says.
    """

    study: str
    storage: str
    recipe: str
    trials: tuple[dict[str, Any], ...]
    best: dict[str, Any] | None
    best_recipe: Path | None
    chosen_by: str = "val_accuracy"

    def to_json(self) -> dict[str, Any]:
        """What `edgefm search --json` prints."""
        return {
            "study": self.study,
            "storage": self.storage,
            "recipe": self.recipe,
            "chosen_by": self.chosen_by,
            "best": self.best,
            "best_recipe": None if self.best_recipe is None else str(self.best_recipe),
            "trials": list(self.trials),
        }


def search(
    recipe: Recipe,
    plan: SearchPlan,
    dataset: Dataset,
    out_dir: Path,
    *,
    trials: int | None = None,
    timeout_s: float | None = None,
    storage: str | None = None,
    study_name: str | None = None,
    progress: ProgressFn = silent,
    on_trial: TrialFn | None = None,
    on_epoch: EpochFn | None = None,
    trainings: Trainings | None = None,
) -> SearchResult:
    """Run trials until the study has enough of them; leaves best.toml and search.json in `out_dir`.

    Any number of processes may do so at once with one `storage`. A trial whose process was killed is run again with
    the same values, from its last whole epoch where its folder is in the same `out_dir`. A trial is pruned by its
    validation accuracy after each epoch. A training that diverges counts as pruned.

    Args:
        recipe: what the values are put into; its seed is every trial's, so that trials differ by their values alone.
        plan: the space, the sampler and the pruner.
        dataset: its test split is not used.
        out_dir: `<out_dir>/trials/<first 12 digits of the recipe's hash>` is a trial's run.
        trials: how many complete and pruned trials the study gets in all; None for the plan's number.
        timeout_s: start no trial after so many seconds.
        storage: URL of a database; None for study.db in `out_dir`.
        study_name: within the storage; None for the recipe's name.
        progress: as for `train`.
        on_epoch: likewise.
        on_trial: called with each trial before it trains.
        trainings: what trains the runs; None for this process. Where it trains several at once, those are begun whose
            values do not depend on the results of others: all trials of the random sampler, the first ten of TPE. The
            study is that of one process, trial by trial.

    Raises:
        TrainingError: the storage cannot be used, or its study was started with another recipe, space or other data.
        EdgeFMError: as for `train`.
        KeyboardInterrupt: passed on; the same call continues.
    """
    require_one_class("A search", multi_label=recipe.data.multi_label)
    optuna = require_optuna()
    out_dir.mkdir(parents=True, exist_ok=True)
    wanted = plan.trials if trials is None else trials
    url, name = storage or sqlite_url(out_dir / STUDY_FILE), study_name or recipe.name
    space = json.dumps({d.path: d.to_json() for d in plan.dimensions}, sort_keys=True)
    identity = {
        "recipe": recipe_hash(recipe),
        "search space": hashlib.sha256(space.encode()).hexdigest(),
        "dataset": dataset.content_hash,
    }
    study = open_study(url, name, plan, seed=recipe.seed, identity=identity)
    states = optuna.trial.TrialState
    given = {path: value_at(recipe, path) for d in plan.dimensions for path in d.when}
    trained_by = trainings or OneProcess()
    deadline = None if timeout_s is None else time.monotonic() + timeout_s

    def objective(trial: Any) -> float:
        counted = (states.COMPLETE, states.PRUNED, states.RUNNING)
        earlier = study.get_trials(deepcopy=False, states=counted)
        if sum(other.number < trial.number for other in earlier) >= wanted:
            trial.set_user_attr("surplus", True)  # two processes began the last one at once
            raise _Surplus
        trial.set_user_attr(OWNER, this_process())
        values = suggest_values(trial, plan, given)
        trial_recipe = _trial_recipe(recipe, values)
        run = _planned(trial_recipe, out_dir)
        for key, value in (
            ("seed", trial_recipe.seed),
            ("recipe_hash", recipe_hash(trial_recipe)),
            ("run", str(run.folder)),
        ):
            trial.set_user_attr(key, value)
        trial.set_user_attr("values", values)
        if on_trial:
            on_trial(trial.number, wanted, values)
        return _train_trial(trial, run, dataset, trained_by, progress, on_epoch)

    while deadline is None or time.monotonic() < deadline:
        with file_lock(out_dir / ".revive.lock"):  # each dead trial is queued once
            revive_dead_trials(study)
        begun = study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED, states.RUNNING))
        if len(begun) >= wanted:
            break
        if trained_by.ahead:
            drawn = certain_values(study, plan, given, wanted, recipe.seed)
            trained_by.plan([_planned(_trial_recipe(recipe, values), out_dir) for values in drawn])
        with no_experimental_warnings():
            study.optimize(objective, n_trials=1, catch=(_Surplus,))
        _write_results(study, recipe, out_dir, url)
    return _write_results(study, recipe, out_dir, url)


class _Surplus(Exception):
    """More trials were started than the study needs."""


def _trial_recipe(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    return replace(with_keys(recipe, values), name=f"{recipe.name}-trial")


def _planned(trial_recipe: Recipe, out_dir: Path) -> PlannedRun:
    return PlannedRun(trial_recipe, out_dir / "trials" / recipe_hash(trial_recipe)[:12], False)


def _train_trial(
    trial: Any,
    run: PlannedRun,
    dataset: Dataset,
    trainings: Trainings,
    progress: ProgressFn,
    on_epoch: EpochFn | None,
) -> float:
    optuna = require_optuna()
    began = time.monotonic()
    by, accuracies, folder = run.recipe.training.select_by, [0.0], run.folder

    def report(row: Mapping[str, float]) -> None:
        accuracies.append(row["val_accuracy"])
        trial.report(rank(row, by)[0], int(row["epoch"]))
        if trial.should_prune():
            raise optuna.TrialPruned

    def each(epoch: int, epochs: int, row: dict[str, float]) -> None:
        if on_epoch:
            on_epoch(epoch, epochs, row)
        report(row)

    try:
        with file_lock(folder.with_name(f".{folder.name}.lock")):  # another process may have drawn the same values
            # The earlier epochs are of a trial with the same values, killed, pruned or finished.
            metrics = trainings.train(run, dataset, progress=progress, on_epoch=each, on_earlier=report)
    except DivergedError as error:
        trial.set_user_attr("error", error.message)
        raise optuna.TrialPruned from error
    finally:
        if by != "accuracy":
            trial.set_user_attr("val_accuracy", max(accuracies))
        trial.set_user_attr("seconds", round(time.monotonic() - began, 1))
    if by != "accuracy":
        trial.set_user_attr("val_accuracy", metrics["val_accuracy"])
    return rank(metrics, by)[0]


def _write_results(study: Any, recipe: Recipe, out_dir: Path, url: str) -> SearchResult:
    """Write best.toml and search.json of the study as it is now."""
    from sqlalchemy.engine import make_url

    names, by = {"FAIL": "failed"}, recipe.training.select_by
    trials = []
    for trial in study.get_trials(deepcopy=False):
        attrs, reported = trial.user_attrs, trial.intermediate_values
        state = names.get(trial.state.name, trial.state.name.lower())
        value = trial.value if state == "complete" else max(reported.values(), default=None)
        trials.append(
            {
                "number": trial.number,
                "state": state,
                "values": attrs.get("values", trial.params),
                "val_accuracy": attrs.get("val_accuracy", value),
                **({} if by == "accuracy" else {selection_key(by): None if value is None else abs(value)}),
                "epochs": len(reported),
                **{key: attrs.get(key) for key in ("seconds", "seed", "recipe_hash", "run", "error", AGAIN)},
            }
        )
    complete = [trial for trial in trials if trial["state"] == "complete"]
    sign = -1 if by == "loss" else 1
    best = max(complete, key=lambda trial: (sign * trial[selection_key(by)], -trial["number"]), default=None)
    path = None
    if best is not None:
        path = out_dir / BEST_FILE
        best_recipe = replace(
            with_keys(recipe, best["values"]),
            name=f"{recipe.name}-best",
            description=f"Trial {best['number']} of {len(trials)} of edgefm search on {recipe.name}: "
            f"validation {by.replace('_', ' ')} {best[selection_key(by)]:.4f}.",
        )
        run_folder.write_text(path, recipe_toml(best_recipe))
    shown = make_url(url).render_as_string(hide_password=True)
    result = SearchResult(study.study_name, shown, recipe.name, tuple(trials), best, path, selection_key(by))
    run_folder.write_json(out_dir / RESULT_FILE, result.to_json())
    return result
