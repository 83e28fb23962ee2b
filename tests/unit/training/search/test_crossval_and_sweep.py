"""Folds that never leak, sweeps that repeat nothing; both evaluated on images that select nothing."""

from __future__ import annotations

import csv
import dataclasses
import json
import statistics
from pathlib import Path

import numpy as np
import pytest
from strokes_data import make_dataset, make_recipe, make_split

from edge_fm.data import Dataset, Split, load_dataset
from edge_fm.training import Recipe, with_overrides
from edge_fm.training.input_pipeline.recipe_data import training_and_validation
from edge_fm.training.search.crossval import cross_validate
from edge_fm.training.search.crossval_folds import assign_folds, fold_dataset
from edge_fm.training.search.sweep import best_row, combinations, sweep
from edge_fm_export.gate.fingerprints import fingerprints
from edge_fm_runtime.errors import RecipeError, TrainingError

# Keras 3.15 does not know the `copy` that NumPy 2 gives to `__array__`; its own `Variable.numpy()` warns of it.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]


def short() -> Recipe:
    return with_overrides(make_recipe(), epochs=1, batch_size=16)


@pytest.mark.parametrize("folds", [2, 3, 5, 7])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_image_is_held_out_once_and_classes_keep_their_shares(folds: int, seed: int) -> None:
    split = make_split(23, seed=3)
    assigned = assign_folds(split, folds=folds, seed=seed)
    assert assigned.shape == (69,) and set(assigned) == set(range(folds))
    for label in range(3):
        sizes = np.bincount(assigned[split.labels == label], minlength=folds)
        assert sizes.max() - sizes.min() <= 1
    sizes = np.bincount(assigned)
    assert sizes.max() - sizes.min() <= 1
    np.testing.assert_array_equal(assigned, assign_folds(split, folds=folds, seed=seed))
    assert (assigned != assign_folds(split, folds=folds, seed=seed + 10)).any()


def test_copies_of_an_image_share_a_fold_even_with_another_label() -> None:
    base = make_split(10, seed=3)
    twice = np.concatenate([np.arange(30), [0, 0, 0, 4, 4, 12, 12, 25]])
    labels = base.labels[twice].copy()
    labels[-1] = 0
    split = Split(base.images[twice], labels)
    assigned = assign_folds(split, folds=3, seed=0)
    for key in set(fingerprints(split.images)):
        places = [i for i, other in enumerate(fingerprints(split.images)) if other == key]
        assert len({int(assigned[i]) for i in places}) == 1


@pytest.mark.parametrize("source", ["fashion-mnist-mini"])
def test_no_image_trains_and_evaluates_in_one_fold(source: str) -> None:
    dataset = load_dataset(source)
    assigned = assign_folds(dataset.train, folds=5, seed=0)
    recipe = short()
    seen = 0
    hidden = set(fingerprints(dataset.test.images))
    for fold in range(5):
        part = fold_dataset(dataset, assigned, fold)
        learn, validation = training_and_validation(recipe, part)
        sets = [set(fingerprints(images)) for images in (learn.images, validation.images, part.test.images)]
        assert not sets[0] & sets[2] and not sets[1] & sets[2]
        assert not sets[2] & hidden - set(fingerprints(dataset.train.images))
        seen += len(part.test)
    assert seen == len(dataset.train)


@pytest.mark.parametrize(("folds", "says"), [(1, "at least 2"), (30, "fewer than 30 folds")])
def test_folds_that_cannot_be_are_refused(folds: int, says: str) -> None:
    with pytest.raises(TrainingError, match=says):
        assign_folds(make_split(20, seed=1), folds=folds, seed=0)


def test_cross_validation_gives_mean_and_spread_and_goes_on_fold_by_fold(tmp_path: Path) -> None:
    # The test split has labels that no model can guess: were it looked at, the folds would show it.
    dataset = make_dataset(make_split(12, seed=1), make_split(4, seed=2))
    begun: list[int] = []

    class Stop(Exception):
        pass

    def stop(fold: int, folds: int) -> None:
        begun.append(fold)
        if fold == 3:
            raise Stop

    with pytest.raises(Stop):
        cross_validate(short(), dataset, tmp_path, folds=3, on_fold=stop)
    times = {path.parent.name: path.stat().st_mtime_ns for path in tmp_path.glob("fold-*/model.keras")}
    assert begun == [1, 2, 3] and set(times) == {"fold-1", "fold-2"}

    trained: list[int] = []
    result = cross_validate(short(), dataset, tmp_path, folds=3, on_epoch=lambda epoch, *_: trained.append(epoch))
    assert trained == [1]
    accuracies = [score.accuracy for score in result.scores]
    assert result.mean == pytest.approx(statistics.mean(accuracies))
    assert result.std == pytest.approx(np.std(accuracies, ddof=1))
    assert [score.held_out for score in result.scores] == [12, 12, 12]
    assert json.loads((tmp_path / "crossval.json").read_text()) == result.to_json()
    for name, before in times.items():
        assert (tmp_path / name / "model.keras").stat().st_mtime_ns == before

    with pytest.raises(TrainingError, match="trained with another recipe"):
        cross_validate(dataclasses.replace(short(), seed=99), dataset, tmp_path, folds=3)
    with pytest.raises(TrainingError, match="trained with another data"):
        cross_validate(short(), dataset, tmp_path, folds=4)


def test_a_grid_is_checked_before_the_first_run() -> None:
    with pytest.raises(RecipeError, match=r"training\.batch_size=0: .*at least 1"):
        combinations(short(), {"training.batch_size": [8, 0]})
    with pytest.raises(RecipeError, match="is empty"):
        combinations(short(), {})


def test_a_sweep_leaves_one_table_and_repeats_nothing(strokes: Dataset, tmp_path: Path) -> None:
    grid = {"optimizer.name": ["sgd", "adam"], "training.batch_size": [16, 20]}
    loads: list[Recipe] = []

    def load(recipe: Recipe) -> Dataset:
        loads.append(recipe)
        return strokes

    rows = sweep(short(), grid, load, tmp_path)
    assert len(loads) == 1
    assert [tuple(row.values.values()) for row in rows] == [("sgd", 16), ("sgd", 20), ("adam", 16), ("adam", 20)]
    assert all(row.test_accuracy is None for row in rows)
    best = best_row(short(), rows)
    assert best is not None and best.val_accuracy == max(row.val_accuracy or 0 for row in rows)

    trained: list[int] = []
    grid["training.batch_size"] = [16]
    tested = sweep(short(), grid, load, tmp_path, test=True, on_epoch=lambda epoch, *_: trained.append(epoch))
    assert not trained and all(row.test_accuracy is not None for row in tested)
    assert [row.val_accuracy for row in tested] == [rows[0].val_accuracy, rows[2].val_accuracy]
    with (tmp_path / "sweep.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["optimizer.name"] for row in table] == ["sgd", "adam"]
    assert float(table[0]["val_accuracy"]) == rows[0].val_accuracy
    assert json.loads((tmp_path / "sweep.json").read_text())["chosen_by"] == "val_accuracy"


def test_a_diverging_combination_is_a_row_with_its_error(strokes: Dataset, tmp_path: Path) -> None:
    recipe = with_overrides(short(), optimizer="sgd")
    rows = sweep(recipe, {"optimizer.learning_rate": [1e30]}, lambda _: strokes, tmp_path)
    assert rows[0].val_accuracy is None and "diverged" in (rows[0].error or "")
    assert best_row(recipe, rows) is None
