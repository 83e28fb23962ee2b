"""Models of the usual kinds, in every format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


CASES: tuple[Case, ...] = (
    ModelCase("functional .keras", _functional, formats=ALL),
    ModelCase("sequential .keras", _sequential, formats=ALL),
    ModelCase("functional .h5", lambda folder: _functional(folder, file="flowers.h5")),
    ModelCase("SavedModel", lambda folder: _functional(folder, file="flowers"), formats=("onnx",)),
)
