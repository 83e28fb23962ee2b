"""A study whose runs are trained before their turn is the study of one process."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from strokes_data import make_recipe

from edge_fm.data import Dataset
from edge_fm.training import with_overrides
from edge_fm.training.recipe.search_space import parse_search
from edge_fm.training.run.checkpoint import load_state
from edge_fm.training.run.train_once import train_once
from edge_fm.training.search import search_study
from edge_fm.training.search.certain_values import certain_values
from edge_fm.training.search.crossval import cross_validate
from edge_fm.training.search.search import search
from edge_fm.training.search.search_study import require_optuna
from edge_fm.training.search.sweep import sweep
from edge_fm.training.search.trainings import PlannedRun
from edge_fm_runtime.progress import ProgressFn, silent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("tensorflow", "optuna"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]
SPACE = {"optimizer.learning_rate": {"low": 1e-5, "high": 1e-1, "log": True}}


class Ahead:
    """Trains whatever is planned at once and to its end, the last run first; a study sees the epochs afterwards."""

    ahead = True

    def __init__(self, dataset: Dataset) -> None:
        self.dataset, self.planned = dataset, list[PlannedRun]()

    def plan(self, runs: Sequence[PlannedRun]) -> None:
        new = [run for run in runs if run not in self.planned]
        self.planned += new
        for run in new[::-1]:
            if run.fold is None:
                train_once(run.recipe, self.dataset, run.folder, test=run.test)

    def train(self, run: PlannedRun, dataset: Dataset, *, progress: ProgressFn = silent, **told: Any) -> dict[str, Any]:
        self.plan([run])
        state = load_state(run.folder)
        for row in state.history if state and told.get("on_epoch") else ():
            told["on_epoch"](int(row["epoch"]), run.recipe.training.epochs, row)
        return train_once(run.recipe, dataset, run.folder, test=run.test, progress=progress)


def without(rows: Sequence[dict[str, Any]], *keys: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in ("seconds", "run", *keys)} for row in rows]


def test_a_search_is_the_same_trial_by_trial(strokes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Second(require_optuna().pruners.BasePruner):  # type: ignore[misc]
        def prune(self, study: Any, trial: Any) -> bool:
            return bool(trial.number == 1)

    monkeypatch.setattr(search_study, "_pruner", lambda name: Second())
    recipe = with_overrides(dataclasses.replace(make_recipe(), name="ahead"), epochs=2)
    plan = parse_search({"trials": 3, "sampler": "random", "space": SPACE}, recipe)
    alone = search(recipe, plan, strokes, tmp_path / "alone")
    ahead = Ahead(strokes)
    together = search(recipe, plan, strokes, tmp_path / "ahead", trainings=ahead)
    assert without(together.trials) == without(alone.trials)
    assert [(trial["state"], trial["epochs"]) for trial in together.trials] == [
        ("complete", 2),
        ("pruned", 1),
        ("complete", 2),
    ]
    assert [str(run.folder) for run in ahead.planned] == [trial["run"] for trial in together.trials]
    assert (tmp_path / "ahead/best.toml").read_text() == (tmp_path / "alone/best.toml").read_text()


@pytest.mark.parametrize(("sampler", "certain"), [("random", 12), ("tpe", 10)])
def test_the_values_that_no_result_can_change(sampler: str, certain: int) -> None:
    recipe = make_recipe()
    plan = parse_search({"trials": 12, "sampler": sampler, "space": SPACE}, recipe)
    study = require_optuna().create_study(
        sampler=search_study.numbered_sampler(sampler, recipe.seed), direction="maximize"
    )
    foreseen = certain_values(study, plan, {}, 12, recipe.seed)
    assert len(foreseen) == certain
    for number in range(12):
        assert certain_values(study, plan, {}, 12, recipe.seed) == foreseen[number:]
        trial = study.ask()
        drawn = search_study.suggest_values(trial, plan, {})
        assert drawn == foreseen[number] if number < certain else drawn not in foreseen
        study.tell(trial, number % 3)


def test_a_sweep_and_the_folds_are_planned_as_they_are_trained(strokes: Dataset, tmp_path: Path) -> None:
    recipe = with_overrides(make_recipe(), epochs=1)
    grid = {"optimizer.learning_rate": [1e-3, 1e-2]}
    ahead = Ahead(strokes)
    rows = sweep(recipe, grid, lambda _: strokes, tmp_path / "ahead", trainings=ahead)
    alone = sweep(recipe, grid, lambda _: strokes, tmp_path / "alone")
    assert without([row.to_json() for row in rows]) == without([row.to_json() for row in alone])
    assert [str(run.folder) for run in ahead.planned] == [row.run for row in rows]
    ahead = Ahead(strokes)
    folds = cross_validate(recipe, strokes, tmp_path / "folds", folds=2, trainings=ahead)
    assert [(str(run.folder), run.fold, run.test) for run in ahead.planned] == [
        (score.run, (score.fold - 1, 2), True) for score in folds.scores
    ]
