"""Features of a frozen backbone: the same run as without keeping them, found again, and never kept wrongly."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from same_run import assert_same_run, weights_of
from strokes_data import make_recipe, make_split

from edge_fm.data import Dataset
from edge_fm.models import build_model
from edge_fm.models.freezing import freeze_layers
from edge_fm.training import (
    AugmentationPart,
    ModelPart,
    OptimizerPart,
    Recipe,
    RunResult,
    SchedulePart,
    TrainingPart,
    train,
)
from edge_fm.training.input_pipeline import backbone_features as features_module
from edge_fm.training.input_pipeline.backbone_features import last_frozen_operation, why_not_stored
from edge_fm.training.recipe import DistillationPart
from edge_fm_runtime.errors import CacheWarning

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]
OPTIONS = {"alpha": 0.1, "size": 32, "dense": [8]}
REAL = os.environ.get("EDGEFM_TEST_WEIGHTS")


@pytest.fixture(scope="module")
def backbone_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights whose features differ from image to image."""
    from edge_fm.models.architectures.backbones import build_backbone

    model = build_backbone("mobilenet", side=32, alpha=0.1)
    images = np.random.default_rng(0).uniform(-1, 1, (32, 32, 32, 3)).astype(np.float32)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            layer.momentum = 0.0
    model(images, training=True)
    path = tmp_path_factory.mktemp("weights") / "backbone.weights.h5"
    model.save_weights(path)
    return path


@pytest.fixture(scope="module")
def recipe(backbone_file: Path) -> Recipe:
    return dataclasses.replace(
        make_recipe(),
        model=ModelPart("mobilenet", weights=str(backbone_file), options=OPTIONS),
        training=TrainingPart(epochs=2, batch_size=8),
        optimizer=OptimizerPart(name="adam", learning_rate=0.01),
        schedule=SchedulePart(name="constant"),
        augmentation=AugmentationPart(),
    )


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgefm" / "features"


@dataclasses.dataclass(frozen=True)
class First:
    """A run that found no features.

    Attributes:
        result: what it returned.
        notes: the notes it printed.
        cache: the cache folder that it left.
    """

    result: RunResult
    notes: tuple[str, ...]
    cache: Path


@pytest.fixture(scope="module")
def first_run(recipe: Recipe, strokes: Dataset, tmp_path_factory: pytest.TempPathFactory) -> First:
    """The recipe's run, which others are compared with."""
    place = tmp_path_factory.mktemp("first")
    notes: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        result = train(recipe, strokes, place / "run", note=notes.append)
    return First(result, tuple(notes), place / "cache")


@pytest.fixture
def first(first_run: First, tmp_path: Path) -> First:
    """That run, with a copy of its cache in place of the empty one."""
    shutil.copytree(first_run.cache, tmp_path / "cache")
    return first_run


def test_the_head_on_features_learns_as_the_whole_model_would(
    recipe: Recipe, strokes: Dataset, tmp_path: Path, cache: Path, first: First, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    straight = first.result
    (stored,) = cache.glob("*/features.npy")
    assert np.load(stored).shape == (60, 102)
    assert "the head's are fresh" in first.notes[0] and "60 images were computed once" in first.notes[1]

    notes: list[str] = []
    again = train(recipe, strokes, tmp_path / "again", note=notes.append)
    assert any(f"come from {stored.parent}" in note for note in notes)
    assert_same_run(again, straight)
    # Another split of the same images finds theirs too.
    notes.clear()
    other = train(dataclasses.replace(recipe, seed=8), strokes, tmp_path / "other", note=notes.append)
    assert any(f"come from {stored.parent}" in note for note in notes)
    assert other.history != straight.history

    monkeypatch.setattr(features_module, "_MAX_BYTES", 1000)
    notes.clear()
    whole = train(recipe, strokes, tmp_path / "whole", note=notes.append)
    assert "would take" in notes[1] and "not stored" in notes[1]
    for ours, theirs in zip(straight.history, whole.history, strict=True):
        assert ours["val_loss"] == pytest.approx(theirs["val_loss"], rel=1e-3)
    np.testing.assert_allclose(straight.test_probabilities, whole.test_probabilities, atol=1e-3)
    # What is saved is the whole model, and its backbone is the file's.
    model = keras.models.load_model(straight.model_path)
    np.testing.assert_allclose(model.predict(strokes.test.images, verbose=0), straight.test_probabilities, atol=1e-6)
    assert model.count_params() == straight.metrics["params"] == whole.metrics["params"]
    frozen = sum(
        np.array_equal(a, b) for a, b in zip(weights_of(straight.run_dir), weights_of(whole.run_dir), strict=True)
    )
    assert frozen >= 135


def test_layers_before_the_head_that_are_trained_learn_on_features_too(
    recipe: Recipe, strokes: Dataset, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    part = dataclasses.replace(recipe.model, unfreeze=("conv_pw_13",))
    fine = dataclasses.replace(recipe, model=part, training=TrainingPart(epochs=3, batch_size=8))
    notes: list[str] = []
    first = train(fine, strokes, tmp_path / "first", note=notes.append)
    (stored,) = cache.glob("*/features.npy")
    assert np.load(stored).shape == (60, 1, 1, 102) and "frozen up to conv_dw_13_relu: its features" in notes[1]
    model = keras.models.load_model(first.model_path)
    np.testing.assert_allclose(model.predict(strokes.test.images, verbose=0), first.test_probabilities, atol=1e-6)

    monkeypatch.setattr(features_module, "_MAX_BYTES", 1000)
    notes.clear()
    whole = train(fine, strokes, tmp_path / "whole", note=notes.append)
    assert any("not stored" in note for note in notes)
    for ours, theirs in zip(first.history, whole.history, strict=True):
        assert ours["val_loss"] == pytest.approx(theirs["val_loss"], rel=1e-2)
    for key in ("train_accuracy", "test_accuracy", "best_epoch"):
        assert first.metrics[key] == whole.metrics[key]
    # Which epoch is the best depends on how a CPU rounds; the metrics are those of that one.
    best = first.history[first.metrics["best_epoch"] - 1]
    assert best["val_accuracy"] == max(epoch["val_accuracy"] for epoch in first.history)
    assert first.metrics["val_accuracy"] == pytest.approx(best["val_accuracy"], abs=1e-6)


@pytest.mark.parametrize(
    ("name", "freeze", "unfreeze", "last"),
    [
        ("mobilenet-v2", "backbone", ("block_16", "Conv_1"), "block_15_add"),
        ("mobilenet-v2", "backbone", (), "features"),
        ("mobilenet-v2", "backbone", ("block_14",), "block_13_project_BN"),
        ("mobilenet-v2", "backbone", ("block_15_project",), "block_14_add"),  # block 15 adds what comes from block 14
        ("vgg16", ("block1", "block2"), (), "block2_pool"),
        ("vgg16", ("block2",), (), None),
        ("vgg16", "backbone", ("block1",), None),
    ],
)
def test_training_begins_where_nothing_trained_comes_before(
    name: str, freeze: str | tuple[str, ...], unfreeze: tuple[str, ...], last: str | None
) -> None:
    options = {"alpha": 0.1, "size": 32} if name == "mobilenet-v2" else {}
    model = build_model(name, input_shape=(28, 28, 1), classes=3, **options)
    freeze_layers(model, (freeze,) if isinstance(freeze, str) else freeze, unfreeze)
    found = last_frozen_operation(model)
    assert (found.name if found is not None else None) == last


def test_a_stopped_run_goes_on_to_the_same_weights(
    recipe: Recipe, strokes: Dataset, tmp_path: Path, cache: Path, first_run: First
) -> None:
    def interrupt(epoch: int, epochs: int, row: dict[str, float]) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, strokes, tmp_path / "broken", on_epoch=interrupt)
    for file in cache.glob("*/features.npy"):  # and without what was stored
        file.unlink()
    assert_same_run(train(recipe, strokes, tmp_path / "broken", resume=True), first_run.result)


@pytest.mark.parametrize("damage", ["cut", "half zeroed"])
def test_damaged_features_are_said_and_computed_again(
    recipe: Recipe, strokes: Dataset, tmp_path: Path, cache: Path, first: First, damage: str
) -> None:
    (stored,) = cache.glob("*/features.npy")
    whole = stored.read_bytes()
    half = len(whole) // 2
    stored.write_bytes(whole[:-100] if damage == "cut" else whole[:half] + bytes(half))
    with pytest.warns(CacheWarning, match="computed again"):
        again = train(recipe, strokes, tmp_path / "again")
    assert_same_run(again, first.result)
    assert stored.read_bytes() == whole


def test_a_cache_that_cannot_be_written_costs_time_alone(
    recipe: Recipe, strokes: Dataset, tmp_path: Path, cache: Path
) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    notes: list[str] = []
    result = train(recipe, strokes, tmp_path / "run", note=notes.append)
    assert "are in memory alone" in notes[1]
    assert result.model_path.is_file()


def test_images_that_change_are_said_to_keep_features_from_being_kept(
    recipe: Recipe, strokes: Dataset, tmp_path: Path, cache: Path
) -> None:
    changing = dataclasses.replace(
        recipe, augmentation=AugmentationPart(flip=True), training=TrainingPart(epochs=1, batch_size=20)
    )
    notes: list[str] = []
    train(changing, strokes, tmp_path / "run", note=notes.append)
    assert "not stored: augmentation changes the images" in notes[1]
    assert not cache.exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, None),
        ({"augmentation": AugmentationPart(clean_epochs=1)}, None),
        ({"augmentation": AugmentationPart(mixup=0.2)}, "augmentation"),
        ({"training": TrainingPart(ema=0.99)}, "ema"),
        ({"training": TrainingPart(precision="mixed_bfloat16")}, "mixed_bfloat16"),
        ({"distillation": DistillationPart(teacher=("runs/big",))}, "teachers"),
        ({"model": ModelPart("resnet18", weights="imagenet")}, None),
        ({"model": ModelPart("resnet18", weights="imagenet", freeze="backbone")}, None),
        ({"model": ModelPart("vgg16", weights="none")}, "no backbone is frozen"),
        ({"model": ModelPart("cnn3", weights="file.h5")}, "no backbone is frozen"),
    ],
)
def test_when_features_are_kept(changes: dict[str, Any], says: str | None) -> None:
    recipe = dataclasses.replace(Recipe(model=ModelPart("vgg16", weights="imagenet")), **changes)
    reason = why_not_stored(recipe)
    assert reason is None if says is None else says in str(reason)


@pytest.mark.skipif(REAL is None, reason="EDGEFM_TEST_WEIGHTS names no folder of real weights")
def test_real_weights_learn_garments_in_seconds(tmp_path: Path) -> None:
    from edge_fm.data import load_dataset

    dataset = load_dataset("fashion-mnist-mini")
    file = Path(str(REAL)) / "mobilenet_v2_0.35_imagenet_no_top.weights.h5"
    recipe = Recipe(
        model=ModelPart("mobilenet-v2", weights=str(file), options={"alpha": 0.35}),
        training=TrainingPart(epochs=5),
        optimizer=OptimizerPart(name="adam", learning_rate=0.001),
        schedule=SchedulePart(name="constant"),
    )
    assert train(recipe, dataset, tmp_path / "run").metrics["test_accuracy"] > 0.8


def test_a_validation_split_of_its_own_selects_the_epoch(recipe: Recipe, strokes: Dataset, tmp_path: Path) -> None:
    import keras

    own = dataclasses.replace(strokes, validation=make_split(5, seed=9))
    plain = dataclasses.replace(recipe, augmentation=AugmentationPart(flip=True))  # features are not kept
    for name, one in (("features", recipe), ("images", plain)):
        result = train(one, own, tmp_path / name)
        model = keras.models.load_model(result.model_path)
        for key, split in (("val_accuracy", own.validation), ("train_accuracy", own.train)):
            assert split is not None
            predicted = model.predict(split.images, verbose=0).argmax(axis=1)
            assert result.metrics[key] == pytest.approx(float((predicted == split.labels).mean()))
