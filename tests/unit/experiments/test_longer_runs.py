"""A row of more epochs goes on where a finished run of fewer ended, with the same result as from the first epoch."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edge_fm.experiments import find_experiment, run_experiment
from edge_fm.experiments.longer_runs import run_folder_of, start_from_shorter
from edge_fm.training import AugmentationPart, Recipe, SchedulePart, recipe_hash
from edge_fm.training.input_pipeline.recipe_data import load_recipe_data
from edge_fm.training.recipe.keys import with_keys

pytestmark = [
    pytest.mark.needs("tensorflow"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]

ROW = find_experiment("report-e-lenet5")
SMALL = {"data.source": "fashion-mnist-mini", "data.samples": 256, "schedule.name": "constant", "schedule.warmup": 0.0}


def small(epochs: int) -> dict[str, object]:
    return {**SMALL, "training.epochs": epochs}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    run_experiment(ROW, folder, changes=small(1))
    return folder


def test_the_epochs_of_a_shorter_run_are_not_repeated_and_the_result_is_the_same(runs: Path, tmp_path: Path) -> None:
    trained: list[int] = []
    notes: list[str] = []
    after = run_experiment(
        ROW, runs, changes=small(3), on_epoch=lambda epoch, *_: trained.append(epoch), note=notes.append
    )
    assert trained == [2, 3] and "are not repeated" in notes[0]
    straight = run_experiment(ROW, tmp_path, changes=small(3))
    assert [replace(one, date="", seconds=0.0) for one in (after, straight)] == [
        replace(straight, date="", seconds=0.0)
    ] * 2
    assert after.epochs == 3 and len(after.history["loss"]) == 3
    between = run_folder_of(with_keys(ROW.recipe, small(2)), runs)
    assert not between.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"schedule": SchedulePart(name="cosine")},
        {"schedule": SchedulePart(name="constant", warmup=0.1)},
        {"augmentation": AugmentationPart(clean_epochs=1)},
    ],
    ids=["cosine", "warmup", "clean epochs"],
)
def test_a_run_whose_epochs_depend_on_their_number_or_that_differs_in_more_starts_anew(
    runs: Path, change: dict[str, object], tmp_path: Path
) -> None:
    one, two = (with_keys(ROW.recipe, small(epochs)) for epochs in (1, 2))
    assert start(replace(two, seed=1), runs) is None
    folder = tmp_path / "runs"
    copied = shutil.copytree(run_folder_of(one, runs), run_folder_of(replace(one, **change), folder))
    metrics = json.loads((copied / "metrics.json").read_text())
    (copied / "metrics.json").write_text(json.dumps(metrics | {"recipe_hash": recipe_hash(replace(one, **change))}))
    assert start(replace(two, **change), folder) is None


@pytest.mark.parametrize("key", ["recipe_hash", "keras_backend", "versions", "data"])
def test_a_run_that_something_else_trained_is_not_gone_on_from(runs: Path, key: str) -> None:
    metrics = run_folder_of(with_keys(ROW.recipe, small(1)), runs) / "metrics.json"
    text = metrics.read_text()
    metrics.write_text(json.dumps(json.loads(text) | {key: {"hash": "0"} if key == "data" else "another"}))
    try:
        assert start(with_keys(ROW.recipe, small(2)), runs) is None
    finally:
        metrics.write_text(text)
    shorter = start(with_keys(ROW.recipe, small(2)), runs)
    assert shorter == metrics.parent
    shutil.rmtree(run_folder_of(with_keys(ROW.recipe, small(2)), runs))


def start(recipe: Recipe, runs: Path) -> Path | None:
    return start_from_shorter(recipe, runs, load_recipe_data(recipe))
