"""The predictions of a Keras model for images in memory or streamed, in the same batches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_fm.training.streaming.failing_batches import raising_own_errors
from edge_fm.training.streaming.keras_input import array_batches, keras_input

_USUAL_PIXELS = 96 * 96
_LEAST = 8


def predict(model: Any, images: NDArray[Any], *, batch_size: int) -> NDArray[np.float32]:
    """float32 `[N,classes]`.

    Args:
        model: keras.Model.
        images: uint8 `[N,H,W,C]`, or features that stand for them.
        batch_size: images at once, at most; large images are fewer, as their feature maps must fit into memory.

    Raises:
        ValueError: there is no image.
        DataError: a file of streamed images cannot be read any more.
    """
    if not len(images):
        raise ValueError("There is no image to predict.")
    batch_size = min(batch_size, max(_LEAST, batch_size * _USUAL_PIXELS // max(1, math.prod(images.shape[1:3]))))
    batches = array_batches(images, batch_size=batch_size)
    with raising_own_errors(batches):
        predictions: NDArray[np.float32] = model.predict(keras_input(batches), verbose=0)
    return predictions
