"""Training in bfloat16 leaves a float32 model; mixup mixes images and targets alike."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from strokes_data import make_recipe

from edge_fm.data import Dataset
from edge_fm.training import AugmentationPart, train
from edge_fm.training.augmentation.mixing import mix
from edge_fm.training.input_pipeline.batches import epoch_batches
from edge_fm.training.optimization.precision import precision_note

# Keras 3.15 does not know the `copy` that NumPy 2 gives to `__array__`; its own `Variable.numpy()` warns of it.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


@pytest.mark.slow
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_bfloat16_run_leaves_a_float32_model(strokes: Dataset, tmp_path: Path, ema: float) -> None:
    import keras

    recipe = make_recipe()
    recipe = dataclasses.replace(
        recipe, training=dataclasses.replace(recipe.training, precision="mixed_bfloat16", ema=ema, epochs=2)
    )
    result = train(recipe, strokes, tmp_path)
    assert keras.config.dtype_policy().name == "float32"
    assert "bfloat16" not in json.dumps(json.loads(zipfile.ZipFile(result.model_path).read("config.json")))
    model = keras.models.load_model(result.model_path)
    assert {layer.compute_dtype for layer in model.layers if layer.weights} == {"float32"}
    assert {v.dtype for v in model.weights} == {"float32"}
    # What was evaluated is what was saved, to the last bit that another batch size leaves alone.
    predictions = model.predict(strokes.test.images, batch_size=250, verbose=0)
    np.testing.assert_allclose(predictions, result.test_probabilities, atol=1e-6)
    if ema:
        return
    exact = dataclasses.replace(recipe, training=dataclasses.replace(recipe.training, precision="float32"))
    other = train(exact, strokes, tmp_path / "float32")
    assert [row["loss"] for row in other.history] != [row["loss"] for row in result.history]


@pytest.mark.parametrize(
    ("precision", "features", "emulated"),
    [
        ("mixed_bfloat16", ("AVX2", "AVX512F", "AVX512-VNNI"), True),
        ("mixed_bfloat16", ("AVX512F", "AVX512-BF16"), False),
        ("mixed_bfloat16", ("AMX-BF16",), False),
        ("mixed_bfloat16", ("NEON",), True),
        ("mixed_bfloat16", ("NEON", "NEON BF16"), False),
        ("mixed_bfloat16", (), False),  # not known
        ("float32", ("AVX2",), False),
    ],
)
def test_a_precision_that_the_cpu_emulates_is_reported(
    monkeypatch: pytest.MonkeyPatch, precision: str, features: tuple[str, ...], emulated: bool
) -> None:
    monkeypatch.setattr("edge_fm.training.optimization.precision.cpu_features", lambda: features)
    note = precision_note(precision)
    assert (note is not None and "--set training.precision=float32" in note) == emulated
    assert (note is None) != emulated
    monkeypatch.setattr("edge_fm.training.optimization.precision._on_cpu", lambda: False)
    assert precision_note(precision) is None


def test_mixup_mixes_images_and_targets_alike() -> None:
    images = np.repeat(np.arange(0, 250, 10, dtype=np.uint8), 4 * 6 * 1).reshape(25, 4, 6, 1)
    targets = np.eye(25, dtype=np.float32)
    before = images.copy()
    mixed, soft = mix(images, targets, AugmentationPart(mixup=0.4), np.random.default_rng(0))
    np.testing.assert_array_equal(images, before)
    assert (mixed.dtype, mixed.shape, soft.dtype) == (np.uint8, images.shape, np.float32)
    np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-6)
    assert (np.diag(soft) >= 0.5 - 1e-6).all()
    assert ((soft > 0).sum(axis=1) == 2).sum() > 15
    expected = soft @ np.arange(0, 250, 10)
    np.testing.assert_allclose(mixed.reshape(25, -1), np.broadcast_to(expected[:, None], (25, 24)), atol=0.51)
    assert mix(images, targets, AugmentationPart(), np.random.default_rng(0))[0] is images


def test_batches_are_mixed_but_for_the_clean_epochs() -> None:
    recipe = dataclasses.replace(make_recipe(), augmentation=AugmentationPart(mixup=1.0, clean_epochs=1))
    images = np.zeros((40, 6, 6, 1), np.uint8)
    labels = np.arange(40) % 3
    for epoch, mixed in ((0, True), (recipe.training.epochs - 1, False)):
        targets = epoch_batches(images, labels, recipe, classes=3, epoch=epoch)[0][1]
        assert (((targets > 0) & (targets < 1)).any()) == mixed
