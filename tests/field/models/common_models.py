"""Models of the usual kinds, in every format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from field.case import Case, Model, ModelCase
from field.makers import CLASSES, SHAPE, body, keras, saved

ALL = ("savedmodel", "onnx", "openvino", "litert")


def _functional(folder: Path, **given: Any) -> Model:
    k = keras()
    image = k.Input(SHAPE)
    return saved(k.Model(image, body(k.layers.Rescaling(1 / 255)(image))), folder, **given)


def _sequential(folder: Path, **given: Any) -> Model:
    k = keras()
    layers = [
        k.layers.Rescaling(1 / 255),
        k.layers.Conv2D(6, 3, strides=2, activation="relu"),
        k.layers.Flatten(),
        k.layers.Dense(CLASSES, activation="softmax"),
    ]
    return saved(k.Sequential([k.Input(SHAPE), *layers]), folder, **given)


def _convolutional_head(folder: Path) -> Model:
    """As SqueezeNet: the classes come out of a convolution, as a picture of one pixel."""
    k = keras()
    image = k.Input(SHAPE)
    x = k.layers.Conv2D(CLASSES, SHAPE[:2], activation="softmax")(k.layers.Rescaling(1 / 255)(image))
    made = saved(k.Model(image, x), folder)
    assert made.expected is not None
    return Model(made.path, made.images, made.expected.reshape(-1, CLASSES))


def _one_output(folder: Path, activation: str) -> Model:
    k = keras()
    image = k.Input(SHAPE)
    x = k.layers.Flatten()(k.layers.Rescaling(1 / 255)(image))
    model = k.Model(image, k.layers.Dense(1, activation=activation)(x))
    made = saved(model, folder)
    assert made.expected is not None
    yes = 1 / (1 + np.exp(-made.expected)) if activation == "linear" else made.expected
    return Model(made.path, made.images, np.hstack([1 - yes, yes]))


CASES: tuple[Case, ...] = (
    ModelCase("functional .keras", _functional, formats=ALL),
    ModelCase("sequential .keras", _sequential, formats=ALL),
    ModelCase("functional .h5", lambda folder: _functional(folder, file="flowers.h5")),
    ModelCase("SavedModel", lambda folder: _functional(folder, file="flowers"), formats=("onnx",)),
    ModelCase("head of convolutions", _convolutional_head, formats=ALL),
    ModelCase("one sigmoid", lambda folder: _one_output(folder, "sigmoid"), formats=ALL),
    ModelCase("one logit", lambda folder: _one_output(folder, "linear"), notes=("sigmoid was added",)),
    ModelCase("one tanh", lambda folder: _one_output(folder, "tanh"), error="tanh.*no probability.*sigmoid"),
)
