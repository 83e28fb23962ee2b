"""Searches on a tiny dataset: the best is the best, the test split is not looked at, kills and company are survived."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from strokes_data import make_recipe, make_split

from edge_fm.data import Dataset
from edge_fm.training import Recipe, load_recipe, train, with_overrides
from edge_fm.training.recipe.search_space import SearchPlan, parse_search
from edge_fm.training.search.search import SearchResult, search
from edge_fm.training.search.search_study import require_optuna, sqlite_url
from edge_fm_runtime.errors import TrainingError

# Keras 3.15 does not know the `copy` that NumPy 2 gives to `__array__`; its own `Variable.numpy()` warns of it.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]

SPACE = {
    "optimizer.name": ["sgd", "adam"],
    "optimizer.learning_rate": {"low": 1e-5, "high": 1e-1, "log": True},
    "optimizer.momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer.name": "sgd"}},
}


def make_plan(recipe: Recipe, **table: object) -> SearchPlan:
    return parse_search({"trials": 3, "space": SPACE, **table}, recipe)


def two_epochs() -> Recipe:
    return with_overrides(dataclasses.replace(make_recipe(), name="searched"), epochs=2)


@pytest.fixture(scope="module")
def searched(strokes: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SearchResult]:
    recipe = two_epochs()
    out = tmp_path_factory.mktemp("search")
    return out, search(recipe, make_plan(recipe), strokes, out)


def test_the_best_is_the_best_on_validation_and_trains_again(
    searched: tuple[Path, SearchResult], strokes: Dataset, tmp_path: Path
) -> None:
    out, result = searched
    assert len(result.trials) == 3 and {t["state"] for t in result.trials} <= {"complete", "pruned"}
    assert all(t["seed"] == make_recipe().seed for t in result.trials)
    assert len({json.dumps(t["values"]) for t in result.trials}) == 3
    for trial in result.trials:
        assert ("optimizer.momentum" in trial["values"]) == (trial["values"]["optimizer.name"] == "sgd")
    best = result.best
    assert best is not None and result.best_recipe == out / "best.toml"
    assert best["val_accuracy"] == max(t["val_accuracy"] for t in result.trials if t["state"] == "complete")
    best_recipe = load_recipe(out / "best.toml")
    assert best_recipe.optimizer.learning_rate == best["values"]["optimizer.learning_rate"]
    assert train(best_recipe, strokes, tmp_path / "run").metrics["val_accuracy"] == best["val_accuracy"]
    assert json.loads((out / "search.json").read_text()) == result.to_json()


def test_the_test_split_is_not_looked_at(searched: tuple[Path, SearchResult]) -> None:
    out, result = searched
    for trial in result.trials:
        if trial["state"] == "complete":
            metrics = json.loads((Path(trial["run"]) / "metrics.json").read_text())
            assert metrics["test_accuracy"] is None and metrics["test_loss"] is None
    assert "test_accuracy" not in (out / "search.json").read_text()


def test_the_same_command_trains_nothing_twice_and_more_trials_go_on(
    searched: tuple[Path, SearchResult], strokes: Dataset
) -> None:
    out, before = searched
    recipe = two_epochs()
    epochs: list[int] = []
    again = search(recipe, make_plan(recipe), strokes, out, on_epoch=lambda epoch, _epochs, _row: epochs.append(epoch))
    assert again.trials == before.trials and not epochs
    more = search(recipe, make_plan(recipe), strokes, out, trials=4)
    assert more.trials[:3] == before.trials and len(more.trials) == 4


def test_a_study_of_something_else_is_refused(searched: tuple[Path, SearchResult], strokes: Dataset) -> None:
    out, _ = searched
    recipe = two_epochs()
    with pytest.raises(TrainingError, match="started with another recipe"):
        search(dataclasses.replace(recipe, seed=99), make_plan(recipe), strokes, out)


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////nowhere/at/all.db", "nodriver://host/db"])
def test_a_storage_that_cannot_be_used_is_said(url: str, strokes: Dataset, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot be used"):
        search(make_recipe(), make_plan(make_recipe()), strokes, tmp_path, storage=url)


def test_a_study_that_everybody_may_write_to_is_not_believed(strokes: Dataset, tmp_path: Path) -> None:
    recipe = two_epochs()
    sqlite3.connect(tmp_path / "study.db").close()
    (tmp_path / "study.db").chmod(0o666)
    with pytest.raises(TrainingError, match=r"everybody may write to .*study\.db"):
        search(recipe, make_plan(recipe), strokes, tmp_path)


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + bytes(5000)])
def test_a_damaged_study_is_said(strokes: Dataset, tmp_path: Path, content: bytes) -> None:
    recipe = two_epochs()
    (tmp_path / "study.db").write_bytes(content)
    with pytest.raises(TrainingError, match="cannot be used"):
        search(recipe, make_plan(recipe), strokes, tmp_path)


def test_a_diverging_trial_is_pruned_and_the_search_goes_on(strokes: Dataset, tmp_path: Path) -> None:
    recipe = with_overrides(two_epochs(), optimizer="sgd")
    plan = parse_search({"trials": 2, "space": {"optimizer.learning_rate": [1e30, 1e31]}}, recipe)
    result = search(recipe, plan, strokes, tmp_path)
    assert [trial["state"] for trial in result.trials] == ["pruned", "pruned"]
    assert "diverged" in result.trials[0]["error"] and result.best is None and result.best_recipe is None


CHILD = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {here!r}
from strokes_data import make_recipe, make_strokes
from test_search import make_plan
from edge_fm.training.search.search import search
def die(epoch, epochs, row):
    if {die!r} and epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)
recipe = make_recipe()
plan = make_plan(recipe, sampler="random", pruner="none")
search(recipe, plan, make_strokes(), Path({out!r}), trials={trials}, on_epoch=die)
"""


def child(out: Path, *, trials: int, die: bool = False) -> subprocess.Popen[str]:
    code = CHILD.format(here=[str(Path(__file__).parent), *sys.path], out=str(out), trials=trials, die=die)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)


@pytest.mark.needs("tensorflow", "optuna")
def test_a_killed_search_goes_on_with_the_killed_trial_from_its_last_epoch(strokes: Dataset, tmp_path: Path) -> None:
    with child(tmp_path, trials=1, die=True) as process:
        assert process.wait() == -signal.SIGKILL
    seen: list[int] = []
    recipe = make_recipe()
    plan = make_plan(recipe, sampler="random", pruner="none")
    result = search(recipe, plan, strokes, tmp_path, trials=1, on_epoch=lambda epoch, *_: seen.append(epoch))
    assert [(t["state"], t["again_of"]) for t in result.trials] == [("failed", None), ("complete", 0)]
    assert result.trials[0]["values"] == result.trials[1]["values"]
    # The second epoch was whole when the process was killed.
    assert seen == [3, 4]
    assert result.best is not None and result.best["number"] == 1


@pytest.mark.needs("tensorflow", "optuna")
def test_two_processes_share_one_study(tmp_path: Path) -> None:
    with child(tmp_path, trials=3) as one, child(tmp_path, trials=3) as other:
        for process in (one, other):
            _, errors = process.communicate()
            assert process.returncode == 0, errors
    study = require_optuna().load_study(study_name="tiny", storage=sqlite_url(tmp_path / "study.db"))
    complete = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    assert len(complete) == 3
    assert len({trial.user_attrs["owner"]["pid"] for trial in complete}) == 2
    assert json.loads((tmp_path / "search.json").read_text())["best"] is not None
    assert not [trial for trial in study.trials if trial.state.name == "RUNNING"]


def test_other_test_images_change_nothing(
    searched: tuple[Path, SearchResult], strokes: Dataset, tmp_path: Path
) -> None:
    _, before = searched
    other = dataclasses.replace(strokes, test=make_split(5, seed=77))
    recipe = two_epochs()
    after = search(recipe, make_plan(recipe), other, tmp_path, trials=1)
    np.testing.assert_equal(after.trials[0]["values"], before.trials[0]["values"])
    assert after.trials[0]["val_accuracy"] == before.trials[0]["val_accuracy"]
