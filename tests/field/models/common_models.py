"""Models of the usual kinds, in every format."""

from __future__ import annotations

import warnings
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
    """As SqueezeNet: the classes come out of a convolution, as an image of one pixel."""
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
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="You are using a softmax over axis")
        model = k.Model(image, k.layers.Dense(1, activation=activation)(x))
        made = saved(model, folder)
    assert made.expected is not None
    yes = 1 / (1 + np.exp(-made.expected)) if activation == "linear" else made.expected
    return Model(made.path, made.images, np.hstack([1 - yes, yes]))


def _dict_of_one_input(folder: Path) -> Model:
    """As `keras.Model({"image": image}, ...)`, often with a dict for the output too."""
    k = keras()
    image = k.Input(SHAPE, name="photo")
    scores = body(k.layers.Rescaling(1 / 255)(image))
    k.Model({"photo": image}, {"species": scores}).save(folder / "flowers.keras")
    plain = saved(k.Model(image, scores), folder, file="plain.keras")
    return Model(folder / "flowers.keras", plain.images, plain.expected)


def _pooled(folder: Path, *, channels: int = 8) -> Model:
    """A backbone that was saved without its head, or scores that are pooled: the two look the same."""
    k = keras()
    image = k.Input(SHAPE)
    x = k.layers.Conv2D(channels, 3)(k.layers.Rescaling(1 / 255)(image))
    return saved(k.Model(image, k.layers.GlobalAveragePooling2D()(x)), folder, softmax=True)


CASES: tuple[Case, ...] = (
    ModelCase("functional .keras", _functional, formats=ALL),
    ModelCase("sequential .keras", _sequential, formats=ALL),
    ModelCase("functional .h5", lambda folder: _functional(folder, file="flowers.h5")),
    ModelCase("SavedModel", lambda folder: _functional(folder, file="flowers"), formats=("onnx",)),
    ModelCase("head of convolutions", _convolutional_head, formats=ALL),
    ModelCase("one sigmoid", lambda folder: _one_output(folder, "sigmoid"), formats=ALL),
    ModelCase("one logit", lambda folder: _one_output(folder, "linear"), notes=("sigmoid was added",)),
    ModelCase("dict of one input", _dict_of_one_input, formats=ALL),
    ModelCase("backbone without a head", _pooled, notes=("look like features.*--labels FILE",)),
    ModelCase(
        "pooled scores, classes named",
        lambda folder: _pooled(folder, channels=3),
        source={"labels": ("oak", "elm", "ash")},
        no_notes=("features",),
    ),
    ModelCase("one softmax", lambda folder: _one_output(folder, "softmax"), error="softmax.*no probability.*sigmoid"),
    ModelCase("one tanh", lambda folder: _one_output(folder, "tanh"), error="tanh.*no probability.*sigmoid"),
)
