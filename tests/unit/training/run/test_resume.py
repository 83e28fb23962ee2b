"""A run that was stopped goes on as if it had not been."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from same_run import assert_same_run
from strokes_data import NORMALIZED, make_dataset, make_recipe

from edge_fm.api.train import TrainOptions
from edge_fm.api.train import train as train_command
from edge_fm.data import Dataset
from edge_fm.training import (
    OptimizerPart,
    Recipe,
    RunResult,
    SchedulePart,
    TrainingPart,
    load_recipe,
    recipe_hash,
    train,
    with_overrides,
)
from edge_fm.training.run.checkpoint import load_state, save_state
from edge_fm_runtime.errors import DataError, TrainingError


# In a process of its own, as the command is: libraries that other tests load may have changed this one's signal stack.
@pytest.mark.parametrize(("number", "batch"), [(signal.SIGINT, 9), (signal.SIGKILL, 15)])
def test_a_stopped_run_goes_on_to_the_same_end(
    whole: RunResult, strokes: Dataset, tmp_path: Path, number: int, batch: int
) -> None:
    code = f"""
import os, signal
from pathlib import Path
from strokes_data import make_recipe, make_strokes
from edge_fm.training import train
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts with it ignored
def stop(stage, done, total):
    if (stage, done) == ("training", {batch}):
        os.kill(os.getpid(), {int(number)})
train(make_recipe(), make_strokes(), Path({str(tmp_path)!r}), progress=stop)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
    )
    assert done.returncode == -number, done.stderr
    assert not (tmp_path / "model.keras").exists()
    if number == signal.SIGINT:
        assert b"KeyboardInterrupt" in done.stderr
        assert not list(tmp_path.rglob("*.tmp*"))

    first: list[int] = []
    resumed = train(make_recipe(), strokes, tmp_path, resume=True, progress=lambda _, done, __: first.append(done))
    assert first[0] == (batch - 1) // 6 * 6 + 1  # of six batches an epoch
    assert_same_run(resumed, whole)


def test_a_run_that_was_killed_before_its_model_was_written_is_finished_by_resuming(
    whole: RunResult, strokes: Dataset, tmp_path: Path
) -> None:
    def interrupt(stage: str, done: int, total: int | None) -> None:
        if stage == "testing":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(make_recipe(), strokes, tmp_path, progress=interrupt)
    assert_same_run(train(make_recipe(), strokes, tmp_path, resume=True), whole)


def test_patience_ends_a_run_and_a_resumed_one_at_the_same_epoch(strokes: Dataset, tmp_path: Path) -> None:
    # A learning rate that is no use: the validation loss soon stands still.
    recipe = dataclasses.replace(
        with_overrides(make_recipe(), epochs=30, learning_rate=1e-9),
        schedule=SchedulePart(name="constant"),
        training=TrainingPart(epochs=30, batch_size=8, patience=2),
    )
    whole = train(recipe, strokes, tmp_path / "whole")
    losses = [row["val_loss"] for row in whole.history]
    assert 3 <= len(losses) < 30
    assert losses.index(min(losses)) == len(losses) - 3
    assert (whole.metrics["epochs"], whole.metrics["stopped_early"]) == (len(losses), True)

    def interrupt(epoch: int, epochs: int, row: dict[str, float]) -> None:
        if epoch == len(losses) - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, strokes, tmp_path / "stopped", on_epoch=interrupt)
    assert_same_run(train(recipe, strokes, tmp_path / "stopped", resume=True), whole)


def test_resuming_a_finished_run_says_so(whole: RunResult, strokes: Dataset) -> None:
    for resume in (True, False):
        with pytest.raises(TrainingError, match="is finished"):
            train(make_recipe(), strokes, whole.run_dir, resume=resume)


def test_resuming_nothing_says_so(strokes: Dataset, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no run to resume"):
        train(make_recipe(), strokes, tmp_path, resume=True)


@pytest.fixture
def unfinished(strokes: Dataset, tmp_path: Path) -> Path:
    def interrupt(epoch: int, epochs: int, row: dict[str, float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(make_recipe(), strokes, tmp_path, on_epoch=interrupt)
    return tmp_path


def test_an_unfinished_run_is_only_resumed_as_it_was(unfinished: Path, strokes: Dataset) -> None:
    with pytest.raises(TrainingError, match="unfinished run"):
        train(make_recipe(), strokes, unfinished)
    with pytest.raises(TrainingError, match=r"training\.epochs was 4, is 6"):
        train(with_overrides(make_recipe(), epochs=6), strokes, unfinished, resume=True)
    changed = dataclasses.replace(make_recipe(), schedule=SchedulePart(name="constant"))
    with pytest.raises(TrainingError, match=r"schedule\.name was 'one-cycle', is 'constant'"):
        train(changed, strokes, unfinished, resume=True)
    other = make_dataset(strokes.train, strokes.test, content_hash="1" * 64)
    with pytest.raises(TrainingError, match="The data is not the one"):
        train(make_recipe(), other, unfinished, resume=True)
    state = unfinished / "checkpoint" / "state.npz"
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(TrainingError, match="cannot be read"):
        train(make_recipe(), strokes, unfinished, resume=True)


def at(source: str, *, epochs: int = 4) -> Recipe:
    recipe = with_overrides(make_recipe(), epochs=epochs)
    return dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, source=source))


@pytest.mark.parametrize("killed", [False, True])
def test_the_same_data_in_another_place_go_on_to_the_same_end(
    unfinished: Path, whole: RunResult, strokes: Dataset, killed: bool
) -> None:
    if killed:  # between the checkpoint and the recipe, which are written at the new place one after the other
        state = load_state(unfinished)
        assert state is not None
        save_state(unfinished, dataclasses.replace(state, recipe_hash=recipe_hash(at("moved"))))
    resumed = train(at("moved"), strokes, unfinished, resume=True)
    assert_same_run(resumed, whole)
    assert load_recipe(unfinished / "recipe.toml") == at("moved")
    assert resumed.metrics["recipe_hash"] == recipe_hash(at("moved"))


def test_data_that_were_moved_are_recorded_at_once(unfinished: Path, strokes: Dataset) -> None:
    def interrupt(stage: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(at("moved"), strokes, unfinished, resume=True, progress=interrupt)
    assert load_recipe(unfinished / "recipe.toml") == at("moved")
    assert train(at("moved"), strokes, unfinished, resume=True).metrics["epochs"] == 4


def test_other_data_in_another_place_are_refused(unfinished: Path, strokes: Dataset) -> None:
    other = make_dataset(strokes.train, strokes.test, content_hash="1" * 64)
    with pytest.raises(TrainingError, match="The data in moved is not the one"):
        train(at("moved"), other, unfinished, resume=True)
    with pytest.raises(TrainingError, match=r"training\.epochs was 4, is 6\.") as raised:
        train(at("moved", epochs=6), strokes, unfinished, resume=True)
    assert raised.value.hint == f"edgefm train --resume --out {unfinished} --data moved   (or start a new run)"
    assert load_recipe(unfinished / "recipe.toml") == make_recipe()


def test_a_moved_image_folder_needs_its_new_place_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(45):
        file = tmp_path / "photos" / f"class {number % 3}" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        sides = 20 + number % 7  # other sizes: the run's own shape has to stay
        Image.fromarray(rng.integers(0, 256, (sides, 24, 3), dtype=np.uint8)).save(file)
    options = TrainOptions(size=(16, 16, 3), epochs=3, batch_size=8, settings={"data.group": "([0-9])[.]png$"})
    photos, moved = tmp_path / "photos", tmp_path / "moved"
    straight = train_command(None, str(photos), tmp_path / "straight", options=options)

    def interrupt(epoch: int, epochs: int, row: dict[str, float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_command(None, str(photos), tmp_path / "run", options=options, on_epoch=interrupt)
    photos.rename(moved)
    with pytest.raises(DataError, match="--data SOURCE"):
        train_command(out=tmp_path / "run", resume=True)
    assert_same_run(train_command(data=str(moved), out=tmp_path / "run", resume=True), straight)
    assert load_recipe(tmp_path / "run" / "recipe.toml").data.source == str(moved.resolve())


def test_plateau_goes_on_from_its_history(strokes: Dataset, tmp_path: Path) -> None:
    plateau = dataclasses.replace(
        make_recipe(NORMALIZED),  # its moving statistics go on, too
        training=TrainingPart(epochs=4, batch_size=8),
        # A rate at which the loss goes up and down, so that the rate has to fall.
        optimizer=OptimizerPart(name="sgd", learning_rate=0.5),
        schedule=SchedulePart(name="plateau", factor=0.5, every=1),
    )
    straight = train(plateau, strokes, tmp_path / "straight")
    assert len({row["learning_rate"] for row in straight.history}) > 1

    def interrupt(epoch: int, epochs: int, row: dict[str, float]) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(plateau, strokes, tmp_path / "broken", on_epoch=interrupt)
    assert_same_run(train(plateau, strokes, tmp_path / "broken", resume=True), straight)
