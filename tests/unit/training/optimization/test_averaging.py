"""The running average of the weights: what it is worth, what it leaves alone, that runs with it go on as they were."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from same_run import assert_same_run, weights_of
from strokes_data import NORMALIZED, make_recipe

from edge_fm.data import Dataset
from edge_fm.training import OptimizerPart, Recipe, train, with_overrides
from edge_fm.training.optimization.optimizers import build_optimizer
from edge_fm.training.optimization.weight_averaging import recompute_statistics

# Keras 3.15 does not know the `copy` that NumPy 2 gives to `__array__`; its own `Variable.numpy()` warns of it.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]


def averaged_recipe(decay: float = 0.9) -> Recipe:
    recipe = make_recipe(NORMALIZED)  # whose statistics are those of the averaged weights
    return dataclasses.replace(recipe, training=dataclasses.replace(recipe.training, ema=decay))


@pytest.mark.parametrize("name", ["sgd", "adamw", "muon"])
def test_the_average_follows_the_weights_with_a_decay_that_warms_up(name: str) -> None:
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8, 2)), keras.layers.Conv2D(4, 3), keras.layers.Flatten()])
    optimizer = build_optimizer(OptimizerPart(name=name, learning_rate=0.1), 0.1, ema=0.5)  # type: ignore[arg-type]
    optimizer.build(model.trainable_variables)
    rng = np.random.default_rng(0)
    expected: list[np.ndarray] = []
    for step in range(20):
        grads = [rng.normal(size=v.shape).astype("float32") for v in model.trainable_variables]
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in grads], model.trainable_variables)
        keep = min(0.5, step / (step + 9))
        now = [np.array(keras.ops.convert_to_numpy(v)) for v in model.trainable_variables]
        expected = [keep * e + (1 - keep) * w for e, w in zip(expected or now, now, strict=True)]
    assert len(expected) == 2
    for average, value in zip(optimizer.averages, expected, strict=True):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(average), value, rtol=1e-5, atol=1e-6)


def test_statistics_are_the_mean_of_the_batches_and_nothing_else_changes() -> None:
    import keras

    frozen = keras.layers.BatchNormalization(name="frozen")
    inner = keras.Sequential([keras.Input((5,)), keras.layers.BatchNormalization(name="inner")])
    model = keras.Sequential(
        [keras.Input((5,)), inner, keras.layers.Dropout(0.5), keras.layers.Dense(3), frozen], name="outer"
    )
    frozen.trainable = False
    rng = np.random.default_rng(0)
    batches = [rng.normal(3, 2, (16, 5)).astype("float32") for _ in range(7)]
    others = [np.array(v.numpy()) for v in model.variables if "inner" not in v.path]
    recompute_statistics(model, batches)
    layer = inner.layers[0]
    np.testing.assert_allclose(layer.moving_mean.numpy(), np.mean([b.mean(axis=0) for b in batches], axis=0), rtol=1e-4)
    np.testing.assert_allclose(
        layer.moving_variance.numpy(), np.mean([b.var(axis=0) for b in batches], axis=0), rtol=1e-4
    )
    assert layer.momentum == 0.99
    for before, after in zip(others, [v for v in model.variables if "inner" not in v.path], strict=True):
        np.testing.assert_array_equal(before, after.numpy())


def test_a_run_keeps_the_average_and_goes_on_as_it_was(strokes: Dataset, tmp_path: Path) -> None:
    import keras

    recipe = with_overrides(averaged_recipe(), epochs=3, batch_size=24)
    whole = train(recipe, strokes, tmp_path / "whole")
    unaveraged = dataclasses.replace(recipe, training=dataclasses.replace(recipe.training, ema=0.0))
    plain = train(unaveraged, strokes, tmp_path / "plain")
    assert [row["loss"] for row in whole.history] == [row["loss"] for row in plain.history]
    assert [row["val_loss"] for row in whole.history] != [row["val_loss"] for row in plain.history]
    model = keras.models.load_model(whole.model_path)
    np.testing.assert_allclose(model.predict(strokes.test.images, verbose=0), whole.test_probabilities, atol=1e-6)
    assert all((a != b).any() for a, b in zip(weights_of(whole.run_dir), weights_of(plain.run_dir), strict=True))

    def interrupt(epoch: int, epochs: int, row: dict[str, float]) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, strokes, tmp_path / "stopped", on_epoch=interrupt)
    assert_same_run(train(recipe, strokes, tmp_path / "stopped", resume=True), whole)


def test_a_short_run_with_a_long_average_learns(strokes: Dataset, tmp_path: Path) -> None:
    recipe = averaged_recipe(0.9999)
    recipe = dataclasses.replace(recipe, training=dataclasses.replace(recipe.training, epochs=6))
    assert train(recipe, strokes, tmp_path).metrics["test_accuracy"] > 0.8
