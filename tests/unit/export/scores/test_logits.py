"""Logits divided in the weights: the predictions are those of a temperature, and no class changes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from edge_fm.models import build_model
from edge_fm_export.scores.logits import divide_logits
from edge_fm_export.scores.temperature import with_temperature
from edge_fm_runtime.errors import ModelError

SHAPE = (8, 8, 1)
IMAGES = np.random.default_rng(0).integers(0, 256, (6, *SHAPE), dtype=np.uint8)


def sequential(*parts: Any) -> Any:
    return keras.Sequential([keras.Input(SHAPE), layers.Rescaling(1 / 255), *parts])


def wrapped(inner: Any, last: Any) -> Any:
    """As third-party models are wrapped."""
    image = keras.Input(SHAPE, dtype="uint8", name="image")
    return keras.Model(image, last(inner(keras.ops.cast(image, "float32"))))


def two_of_one(p: Any) -> Any:
    return layers.Concatenate(name="probabilities")([1.0 - p, p])


MODELS = {
    "softmax in the layer": lambda: sequential(layers.Flatten(), layers.Dense(3, activation="softmax")),
    "softmax layer": lambda: sequential(layers.Flatten(), layers.Dense(3, use_bias=False), layers.Softmax()),
    "head of convolutions": lambda: sequential(
        layers.Conv2D(3, 3), layers.GlobalAveragePooling2D(), layers.Activation("softmax")
    ),
    "wrapped softmax": lambda: wrapped(
        sequential(layers.Flatten(), layers.Dense(3, activation="softmax")), layers.Activation("linear")
    ),
    "wrapped logits": lambda: wrapped(sequential(layers.Flatten(), layers.Dense(3)), layers.Softmax()),
    "wrapped sigmoid": lambda: wrapped(sequential(layers.Flatten(), layers.Dense(1, activation="sigmoid")), two_of_one),
    "edgenet-n": lambda: build_model("edgenet-n", input_shape=SHAPE, classes=3),
}


@pytest.mark.parametrize("name", MODELS)
def test_predictions_are_those_of_the_temperature(name: str) -> None:
    keras.utils.set_random_seed(1)
    model = MODELS[name]()
    before = model.predict_on_batch(IMAGES)
    divide_logits(model, 2.5)
    after = model.predict_on_batch(IMAGES)
    np.testing.assert_allclose(after, with_temperature(before, 2.5), atol=1e-6)
    assert (after.argmax(axis=1) == before.argmax(axis=1)).all() and not np.allclose(after, before, atol=1e-4)


def test_a_head_that_another_model_calls_too_is_divided() -> None:
    """As in training on stored features: the head is a model of its own, made of the whole model's layers."""
    image, features = keras.Input(SHAPE), keras.Input((64,))
    head, softmax = layers.Dense(3, name="logits"), layers.Softmax()
    whole = keras.Model(image, softmax(head(layers.Flatten()(layers.Rescaling(1 / 255)(image)))))
    alone = keras.Model(features, softmax(head(features)))
    before = whole.predict_on_batch(IMAGES)
    divide_logits(alone, 2.5)
    np.testing.assert_allclose(whole.predict_on_batch(IMAGES), with_temperature(before, 2.5), atol=1e-6)


def shared() -> Any:
    image = keras.Input(SHAPE)
    dense = layers.Dense(64, activation="linear")
    flat = layers.Flatten()(image)
    return keras.Model(image, layers.Softmax()(dense(dense(flat))))


@pytest.mark.parametrize(
    "build",
    [
        lambda: sequential(layers.Flatten(), layers.Dense(3), layers.BatchNormalization(), layers.Softmax()),
        lambda: sequential(layers.Flatten(), layers.Dense(3, activation="relu"), layers.Softmax()),
        lambda: sequential(layers.Flatten(), layers.Dense(3)),
        lambda: sequential(layers.Flatten(), layers.Dense(3, activation="softmax"), layers.Softmax()),
        shared,
    ],
)
def test_a_model_without_logits_of_its_own_is_left_alone(build: Any) -> None:
    model = build()
    before = [w.copy() for w in model.get_weights()]
    with pytest.raises(ModelError, match="cannot be divided by a temperature"):
        divide_logits(model, 2.0)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
