"""Models that were saved with a batch size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from field.case import Case, Model, ModelCase
from field.makers import CLASSES, SHAPE, keras, noise

ALL = ("savedmodel", "onnx", "openvino", "litert")
BATCH = 4


def _bound(k: Any) -> Any:
    """A reshape names the batch size: no other is possible."""
    image = k.Input(batch_shape=(BATCH, *SHAPE))
    x = k.ops.reshape(k.layers.Rescaling(1 / 255)(image), (BATCH, -1))
    return k.Model(image, k.layers.Dense(CLASSES, activation="softmax")(x))


def _named_only(k: Any) -> Any:
    """The input names a batch size that nothing in the model needs."""
    image = k.Input(batch_shape=(BATCH, *SHAPE))
    x = k.layers.Flatten()(k.layers.Rescaling(1 / 255)(image))
    return k.Model(image, k.layers.Dense(CLASSES, activation="softmax")(x))


def _made(build: Callable[[Any], Any], file: str) -> Callable[[Path], Model]:
    def make(folder: Path) -> Model:
        import tensorflow as tf

        model, path, images = build(keras()), folder / file, noise(SHAPE, 3 * BATCH)
        if path.suffix:
            model.save(path)
        else:
            spec = [tf.TensorSpec((BATCH, *SHAPE), tf.float32, name="photo")]
            model.export(path, input_signature=spec, verbose=False)
        floats = images.astype("float32")
        parts = [np.asarray(model(floats[i : i + BATCH])) for i in range(0, len(images), BATCH)]
        return Model(path, images, np.concatenate(parts))

    return make


CASES: tuple[Case, ...] = (
    ModelCase("fixed batch", _made(_bound, "flowers.keras"), error="batches of 4 images alone.*--static-batch 4"),
    ModelCase("fixed batch, as asked", _made(_bound, "flowers.keras"), static_batch=BATCH, formats=ALL),
    ModelCase("fixed batch in int8", _made(_bound, "flowers.keras"), static_batch=BATCH, precision="int8", atol=0.1),
    ModelCase(
        "fixed batch, another asked",
        _made(_bound, "flowers.keras"),
        static_batch=2,
        error="batches of 4 images alone; batches of 2 were.*--static-batch 4",
    ),
    ModelCase("fixed batch, SavedModel", _made(_bound, "flowers"), error="batches of 4 .*--static-batch 4"),
    ModelCase("fixed batch, SavedModel, as asked", _made(_bound, "flowers"), static_batch=BATCH, formats=ALL),
    ModelCase("batch size in the input alone", _made(_named_only, "flowers.keras"), formats=ALL),
    ModelCase("batch size in the signature", _made(_named_only, "flowers"), static_batch=BATCH),
)
