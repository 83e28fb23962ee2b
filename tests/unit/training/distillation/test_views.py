"""Stored predictions of teachers: the views that come again."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from same_run import assert_same_run
from teaching import taught

from edge_fm.data import Dataset
from edge_fm.training import RunResult, train
from edge_fm.training.distillation.distillation import (
    load_teachers,
)
from edge_fm.training.input_pipeline.batches import epoch_batches, view_of
from edge_fm.training.input_pipeline.recipe_data import training_and_validation
from edge_fm.training.streaming.keras_input import array_batches
from edge_fm_runtime.errors import CacheWarning, DataError, RecipeError


def test_teachers_are_asked_about_images_before_they_become_photo_like(
    teacher: RunResult, strokes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    recipe = taught(teacher.run_dir, epochs=2)
    augmentation = dataclasses.replace(recipe.augmentation, photo=0.5, flip=True, shift=1, mixup=0.2)
    with pytest.raises(RecipeError, match="views is 0"):
        dataclasses.replace(recipe, augmentation=augmentation)
    part = dataclasses.replace(recipe.distillation, views=1)
    recipe = dataclasses.replace(recipe, distillation=part)
    recipe = dataclasses.replace(recipe, augmentation=augmentation)
    train(recipe, strokes, tmp_path / "run")
    (stored,) = (np.load(path) for path in (tmp_path / "cache" / "edgefm" / "teachers").glob("*/view-0.npy"))

    learn, _ = training_and_validation(recipe, strokes)
    common: dict[str, Any] = {
        "classes": 3,
        "epoch": 0,
        "teacher_predictions": stored,
        "label_names": strokes.label_names,
    }
    shown = epoch_batches(learn.images, learn.labels, recipe, **common)
    asked = epoch_batches(learn.images, learn.labels, recipe, photo_like=False, **common)
    (model,) = load_teachers(recipe.distillation, strokes)
    for index in range(len(asked)):
        batch, targets = asked[index]
        np.testing.assert_allclose(targets[:, 3:], model.predict(batch, verbose=0), atol=1e-5)
        # The same images, mixed alike, and the same targets: half of them photo-like.
        np.testing.assert_array_equal(shown[index][1], targets)
        differ = (shown[index][0] != batch).any(axis=(1, 2, 3))
        assert differ[: len(batch) // 2].all()


def test_what_stops_a_batch_of_the_teachers_is_raised(
    teacher: RunResult, strokes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unreadable:
        def __len__(self) -> int:
            return 64

        def __getitem__(self, rows: slice) -> Any:
            if rows.start:
                raise DataError("7.png cannot be read now")
            return strokes.train.images[rows]

    def batches(*_: Any, **__: Any) -> Any:
        return array_batches(Unreadable(), batch_size=32)  # type: ignore[arg-type]

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("edge_fm.training.distillation.teacher_predictions.epoch_batches", batches)
    recipe = taught(teacher.run_dir)
    recipe = dataclasses.replace(recipe, distillation=dataclasses.replace(recipe.distillation, views=1))
    with pytest.raises(DataError, match=r"^7.png cannot be read now"):
        train(recipe, strokes, tmp_path / "run")


def test_a_view_that_comes_again_is_photographed_anew(strokes: Dataset) -> None:
    recipe = taught(Path("big"), epochs=3)
    recipe = dataclasses.replace(recipe, distillation=dataclasses.replace(recipe.distillation, views=1))
    augmentation = dataclasses.replace(recipe.augmentation, photo=0.5, shift=1, mixup=0.0, clean_epochs=0)
    recipe = dataclasses.replace(recipe, augmentation=augmentation)
    assert [view_of(recipe, epoch) for epoch in range(2)] == [0, 0]
    plain, photos = [], []
    for epoch in range(2):
        made = epoch_batches(
            strokes.train.images,
            strokes.train.labels,
            recipe,
            classes=3,
            epoch=epoch,
            label_names=strokes.label_names,
        )
        batches = [made[index][0] for index in range(len(made))]
        half = round(len(batches[0]) / 2)
        photos.append({image.tobytes() for batch in batches for image in batch[:half]})
        plain.append({image.tobytes() for batch in batches for image in batch[half:]})
    assert plain[0] == plain[1]
    assert photos[0].isdisjoint(photos[1])


def test_views_come_again_in_another_order_and_their_predictions_are_stored(
    teacher: RunResult, strokes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    recipe = taught(teacher.run_dir, epochs=6)
    recipe = dataclasses.replace(recipe, distillation=dataclasses.replace(recipe.distillation, views=2))
    assert [view_of(recipe, epoch) for epoch in range(6)] == [0, 1, 0, 1, 0, 5]
    images, labels = strokes.train.images, strokes.train.labels

    def shown(epoch: int) -> list[bytes]:
        made = epoch_batches(images, labels, recipe, classes=3, epoch=epoch)
        return [made[index][0].tobytes() for index in range(len(made))]

    assert shown(0) != shown(2)
    assert sorted(shown(0)) == sorted(shown(2)) == sorted(shown(4))
    assert shown(2) != shown(4)

    asked: list[tuple[str, int, int | None]] = []

    def watch(stage: str, done: int, total: int | None) -> None:
        if stage == "teacher predictions" and done == 0:
            asked.append((stage, done, total))

    whole = train(recipe, strokes, tmp_path / "whole", progress=watch)
    assert len(asked) == 3
    (folder,) = (tmp_path / "cache" / "edgefm" / "teachers").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["clean-5.npy", "view-0.npy", "view-1.npy"]

    # What was kept is what the teacher says to these very images, in the order of the view's batches.
    learn, _ = training_and_validation(recipe, strokes)
    stored = np.load(folder / "view-1.npy")
    made = epoch_batches(learn.images, learn.labels, recipe, classes=3, epoch=3, teacher_predictions=stored)
    (model,) = load_teachers(recipe.distillation, strokes)
    for index in range(len(made)):
        batch, targets = made[index]
        np.testing.assert_allclose(targets[:, 3:], model.predict(batch, verbose=0), atol=1e-5)

    def interrupt(epoch: int, epochs: int, row: dict[str, float]) -> None:
        if epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, strokes, tmp_path / "stopped", on_epoch=interrupt, progress=watch)
    assert_same_run(train(recipe, strokes, tmp_path / "stopped", resume=True, progress=watch), whole)
    assert len(asked) == 3
    kept = (folder / "view-0.npy").read_bytes()  # half zeroed, it is a valid file of other predictions
    (folder / "view-0.npy").write_bytes(kept[: len(kept) // 2] + bytes(len(kept) // 2) + kept[len(kept) // 2 * 2 :])
    with pytest.warns(CacheWarning, match="teacher predictions are not used: .*computed again"):
        assert_same_run(train(recipe, strokes, tmp_path / "again", progress=watch), whole)
    assert len(asked) == 4
