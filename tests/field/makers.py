"""Small parts that several cases share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from field.case import Model

SHAPE = (12, 10, 3)
CLASSES = 4


def keras() -> Any:
    """The module, on TensorFlow, with its seed set."""
    from edge_fm_export.compat.tensorflow_setup import require_tensorflow

    module = require_tensorflow("the tests")[1]
    module.utils.set_random_seed(7)
    return module


def noise(shape: tuple[int, ...] = SHAPE, n: int = 12) -> np.ndarray[Any, Any]:
    """Random pixels."""
    return np.random.default_rng(11).integers(0, 256, (n, *shape), dtype=np.uint8)


def body(x: Any, *, classes: int = CLASSES, activation: str | None = "softmax") -> Any:
    """A convolution and a head on top of the tensor `x`, scaled 0..1."""
    layers = keras().layers
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Dense(classes, activation=activation, kernel_initializer="random_normal")(x)


def saved(
    model: Any,
    folder: Path,
    *,
    file: str = "flowers.keras",
    images: np.ndarray[Any, Any] | None = None,
    fed: np.ndarray[Any, Any] | None = None,
    softmax: bool = False,
) -> Model:
    """Save `model` and say what Keras predicts.

    Args:
        model: a Keras model.
        folder: where to.
        file: its name there; without a suffix a SavedModel folder is written.
        images: uint8 pixels; by default noise of the model's input shape.
        fed: what the model gets for them; by default the pixels as floats.
        softmax: whether the model returns logits.
    """
    if images is None:
        images = noise(tuple(int(side) for side in model.input_shape[1:]))
    path = folder / file
    if path.suffix:
        model.save(path)
    else:
        model.export(path, verbose=False)
    expected = np.asarray(model(images.astype("float32") if fed is None else fed, training=False)).astype("float32")
    if softmax:
        shifted = np.exp(expected - expected.max(axis=1, keepdims=True))
        expected = shifted / shifted.sum(axis=1, keepdims=True)
    return Model(path, images, expected)
