"""Whole runs on a tiny dataset: what they leave, that they repeat, that they survive being killed."""

from __future__ import annotations

import csv
import dataclasses
import json
import time
from pathlib import Path

import numpy as np
import pytest
from same_run import assert_same_run, untimed, weights_of
from strokes_data import LABELS, make_dataset, make_recipe, make_split

from edge_fm.data import Dataset
from edge_fm.training import (
    OptimizerPart,
    RunResult,
    SchedulePart,
    load_recipe,
    recipe_hash,
    train,
    with_overrides,
)
from edge_fm.training.run import fit
from edge_fm.training.run.checkpoint import load_state
from edge_fm.training.run.selection import Scores
from edge_fm_runtime.errors import ModelError, TrainingError

# Keras 3.15 does not know the `copy` that NumPy 2 gives to `__array__`; its own `Variable.numpy()` warns of it.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]

METRICS = {
    "run",
    "model",
    "params",
    "epochs",
    "stopped_early",
    "seconds",
    "train_accuracy",
    "train_balanced_accuracy",
    "train_macro_f1",
    "val_accuracy",
    "val_balanced_accuracy",
    "val_macro_f1",
    "val_loss",
    "advice",
    "label_suspects",
    "test_accuracy",
    "test_balanced_accuracy",
    "test_macro_f1",
    "test_loss",
    "selected_by",
    "validation_leaks",
    "test_leaks",
    "best_epoch",
    "seed",
    "labels",
    "input_shape",
    "data",
    "recipe_hash",
    "scores",
    "teachers",
    "photo",
    "keras_backend",
    "versions",
}


def test_the_run_folder_holds_what_it_should(whole: RunResult, strokes: Dataset) -> None:
    import keras

    names = {path.name for path in whole.run_dir.iterdir()}
    assert names == {"model.keras", "recipe.toml", "history.csv", "metrics.json", "checkpoint"}
    metrics = json.loads((whole.run_dir / "metrics.json").read_text())
    assert set(metrics) == METRICS
    assert metrics == whole.metrics
    assert metrics["labels"] == list(LABELS)
    assert metrics["input_shape"] == [12, 14, 1]
    assert metrics["data"] == {
        "name": "strokes",
        "source": "strokes",
        "hash": strokes.content_hash,
        "preparation": {},
        "notes": {},
    }
    assert metrics["photo"] == {"mode": "garment", "background": "dark", "fill": 0}
    assert metrics["recipe_hash"] == recipe_hash(load_recipe(whole.run_dir / "recipe.toml"))
    with (whole.run_dir / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4]
    best = max(whole.history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    assert (metrics["best_epoch"], metrics["val_accuracy"]) == (best["epoch"], best["val_accuracy"])

    model = keras.models.load_model(whole.model_path)
    predictions = model.predict(strokes.test.images, verbose=0)
    np.testing.assert_allclose(predictions, whole.test_probabilities, atol=1e-6)
    assert metrics["test_accuracy"] == (predictions.argmax(axis=1) == strokes.test.labels).mean()
    assert (model.inputs[0].name, model.output_names) == ("image", ["probabilities"])


def test_the_same_seed_gives_the_same_run(whole: RunResult, strokes: Dataset, tmp_path: Path) -> None:
    # State that a former run or the caller left behind has no part in it.
    np.random.seed(99)
    assert_same_run(train(make_recipe(), strokes, tmp_path / "again"), whole)
    other = train(with_overrides(make_recipe(), seed=8), strokes, tmp_path / "other")
    assert untimed(other.history) != untimed(whole.history)


def test_tensorflow_traces_the_step_once(strokes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    step, traced = keras.Model.train_step, []

    def train_step(model: keras.Model, data: object) -> object:
        traced.append(data)
        return step(model, data)

    monkeypatch.setattr(keras.Model, "train_step", train_step)
    train(with_overrides(make_recipe(), epochs=2), strokes, tmp_path)
    assert len(traced) == 1


def test_the_strokes_are_learnt_and_progress_counts_the_whole_run(strokes: Dataset, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    epochs: list[tuple[int, int, dict[str, float]]] = []
    result = train(
        with_overrides(make_recipe(), epochs=15),
        strokes,
        tmp_path,
        progress=lambda *step: seen.append(step),
        on_epoch=lambda *epoch: epochs.append(epoch),
    )
    assert result.metrics["test_accuracy"] > 0.8
    assert [step for step in seen if step[0] == "training"] == [("training", i, 90) for i in range(1, 91)]
    assert seen[-1] == ("testing", 1, 1)
    assert [(epoch, of) for epoch, of, _ in epochs] == [(i, 15) for i in range(1, 16)]
    assert [row for _, _, row in epochs] == list(result.history)


@pytest.mark.parametrize(("keep", "epoch"), [("best", 1), ("last", 3)])
def test_the_last_epoch_is_kept_whatever_validation_says(
    keep: str, epoch: int, strokes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe()
    recipe = dataclasses.replace(recipe, training=dataclasses.replace(recipe.training, epochs=3, keep=keep))
    # Whether a real training gets worse is chance: here each epoch is evaluated as worse than the one before.
    falling = iter([0.9, 0.8, 0.7])
    monkeypatch.setattr(fit, "score", lambda probabilities, labels: Scores(next(falling), 1.0, 0.5, 0.5))
    firsts = []

    def note_kept(done: int, epochs: int, row: dict[str, float]) -> None:
        state = load_state(tmp_path / "run")
        assert state is not None
        firsts.append(state.best[0])

    result = train(recipe, strokes, tmp_path / "run", on_epoch=note_kept)
    assert (result.metrics["best_epoch"], result.metrics["val_accuracy"]) == (epoch, [0.9, 0.8, 0.7][epoch - 1])
    assert [bool((first == firsts[0]).all()) for first in firsts] == [True, keep == "best", keep == "best"]
    np.testing.assert_array_equal(weights_of(result.run_dir)[0], firsts[-1])


def test_a_folder_of_somebody_else_is_left_alone(strokes: Dataset, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("Chapter 1")
    with pytest.raises(TrainingError, match=r"holds no run: thesis\.tex"):
        train(make_recipe(), strokes, tmp_path)
    with pytest.raises(TrainingError, match="is a file"):
        train(make_recipe(), strokes, tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_loss_that_is_no_number_stops_at_once(strokes: Dataset, tmp_path: Path) -> None:
    wild = dataclasses.replace(
        make_recipe(),
        optimizer=OptimizerPart(name="sgd", learning_rate=1e30),
        schedule=SchedulePart(name="constant"),
    )
    batches: list[int] = []
    with pytest.raises(TrainingError, match="diverged") as caught:
        train(wild, strokes, tmp_path, progress=lambda _, done, __: batches.append(done))
    assert "--learning-rate 1e+29" in str(caught.value)
    assert len(batches) < 12
    assert not (tmp_path / "model.keras").exists()


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_training_starts_from_the_weights_of_a_file(
    suffix: str, whole: RunResult, strokes: Dataset, tmp_path: Path
) -> None:
    import keras

    file = whole.model_path
    if suffix == ".weights.h5":
        file = tmp_path / "whole.weights.h5"
        keras.models.load_model(whole.model_path).save_weights(file)
    still = dataclasses.replace(
        with_overrides(make_recipe(), epochs=1), optimizer=OptimizerPart(name="sgd", learning_rate=1e-12, momentum=0.0)
    )
    result = train(still, strokes, tmp_path / "run", weights=str(file))
    kernels = [(a, b) for a, b in zip(weights_of(result.run_dir), weights_of(whole.run_dir), strict=True) if a.ndim > 1]
    for ours, theirs in kernels:
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert load_recipe(result.run_dir / "recipe.toml").model.weights == str(file)


def test_weights_that_do_not_fit(whole: RunResult, strokes: Dataset, tmp_path: Path) -> None:
    import keras

    unrelated = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    unrelated.save(tmp_path / "unrelated.keras")
    unrelated.save_weights(tmp_path / "unrelated.weights.h5")
    (tmp_path / "noise.keras").write_bytes(b"no archive")
    for name, says in (
        ("unrelated.keras", "do not fit"),
        ("unrelated.weights.h5", "do not fit"),
        ("noise.keras", "is not a readable .keras file"),
        ("absent.keras", "no file"),
        ("weights.pickle", "Supported: none"),
    ):
        run_dir = tmp_path / f"run-{name}"
        with pytest.raises(ModelError, match=says):
            train(make_recipe(), strokes, run_dir, weights=str(tmp_path / name))
        assert not run_dir.exists()


@pytest.mark.parametrize("year", [1970, 2110])
def test_a_clock_that_no_model_file_can_be_dated_by_is_said_first(
    strokes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, year: int
) -> None:
    then = time.struct_time((year, 1, 1, 0, 0, 0, 0, 1, 0))
    monkeypatch.setattr(time, "localtime", lambda *_: then)
    with pytest.raises(TrainingError, match=f"shows {year}-01-01; a model can be saved from 1980"):
        train(make_recipe(), strokes, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_unsuitable_data(strokes: Dataset, tmp_path: Path) -> None:
    few = make_split(20, seed=1)
    keep = np.r_[0:20, 20:21, 40:60]
    few = dataclasses.replace(few, images=few.images[keep], labels=few.labels[keep])
    beyond = dataclasses.replace(strokes.test, labels=strokes.test.labels + 1)
    floats = dataclasses.replace(strokes.train, images=strokes.train.images / np.float32(255))
    empty = dataclasses.replace(strokes.test, images=strokes.test.images[:0], labels=strokes.test.labels[:0])
    narrow = dataclasses.replace(strokes.test, images=strokes.test.images[:, :, :8])
    for train_split, test_split, says in (
        (few, strokes.test, r"Ankle boot \(1, and 8 for the test\)"),
        (strokes.train, beyond, "outside 0..2"),
        (floats, strokes.test, "supported: uint8"),
        (strokes.train, empty, "no test images"),
        (strokes.train, narrow, r"test images \[12, 8, 1\]"),
    ):
        with pytest.raises(TrainingError, match=says):
            train(make_recipe(), make_dataset(train_split, test_split), tmp_path / "run")
        assert not (tmp_path / "run").exists()
