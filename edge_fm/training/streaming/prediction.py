"""The predictions of a Keras model for images in memory or streamed, in the same batches."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_fm.data.streaming.images import as_streamed
from edge_fm.models.keras_import import require_keras
from edge_fm.training.streaming.failing_batches import raising_own_errors

_USUAL_PIXELS = 96 * 96
_LEAST = 8


def predict(model: Any, images: NDArray[Any], *, batch_size: int) -> NDArray[np.float32]:
    """float32 `[N,classes]`.

    Args:
        model: keras.Model.
        images: uint8 `[N,H,W,C]`, or features that stand for them.
        batch_size: images at once, at most; large images are fewer, as their feature maps must fit into memory.

    Raises:
        DataError: a file of streamed images cannot be read any more.
    """
    batch_size = min(batch_size, max(_LEAST, batch_size * _USUAL_PIXELS // max(1, math.prod(images.shape[1:3]))))
    if as_streamed(images) is None:
        predictions: NDArray[np.float32] = model.predict(images, batch_size=batch_size, verbose=0)
        return predictions
    batches = _batches_class()(images, batch_size)
    with raising_own_errors(batches):
        streamed: NDArray[np.float32] = model.predict(batches, verbose=0)
    return streamed


@functools.cache
def _batches_class() -> Any:
    keras = require_keras("predicting")

    class EvaluationBatches(keras.utils.PyDataset):  # type: ignore[misc, name-defined]
        def __init__(self, images: NDArray[np.uint8], size: int) -> None:
            super().__init__(workers=1, use_multiprocessing=False)
            self._images, self._size = images, size
            self.error: Exception | None = None

        def __len__(self) -> int:
            return math.ceil(len(self._images) / self._size)

        def __getitem__(self, index: int) -> NDArray[np.uint8]:
            try:
                return self._images[index * self._size : (index + 1) * self._size]
            except Exception as error:
                self.error = error
                raise

    return EvaluationBatches
