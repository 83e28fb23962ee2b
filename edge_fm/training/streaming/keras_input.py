"""Batches in the form that Keras's `fit` and `predict` read fastest on its current backend."""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from edge_fm.models.keras_import import require_keras

_AHEAD = 2
"""Batches that are made while one is learned from."""


def keras_input(batches: Any) -> Any:
    """Wrap batches for TensorFlow's backend; another backend gets them as they are.

    Keras itself would make a `tf.data.Dataset` of them, with two costs that this one does not have. It computes the
    first two batches once more, for their shapes. And tf.data's autotuning, which has nothing to tune here, is ended by
    a notification that can be missed on one CPU or a busy machine (TensorFlow 2.21); the end of the epoch then waits
    until autotuning looks up again, which can take as long as the epoch did.

    Args:
        batches: a keras.utils.PyDataset of arrays or tuples of arrays, each with the batch as its first axis.

    Returns:
        what `fit` and `predict` take: the same batches in the same order.
    """
    if require_keras("training").backend.backend() != "tensorflow":
        return batches
    import tensorflow as tf

    source = _Source(batches)
    shapes = tuple(tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in source.arrays)
    # TensorFlow keeps every generator until the process ends, so this one must not keep what it reads from.
    reading = weakref.ref(source)

    def generate() -> Iterator[Any]:
        source = reading()
        if source is not None:  # it is there as long as the data set
            yield source.first
            for index in range(1, len(source.batches)):
                yield source.batches[index]

    options = tf.data.Options()
    options.autotune.enabled = False
    generated = tf.data.Dataset.from_generator(
        generate, output_signature=shapes if isinstance(source.first, tuple) else shapes[0]
    )
    sized = generated.apply(tf.data.experimental.assert_cardinality(len(batches)))
    dataset = sized.prefetch(_AHEAD).with_options(options)
    dataset.edgefm_source = source  # lives as long as the data set
    return dataset


class _Source:
    """Batches, the first of them already made."""

    def __init__(self, batches: Any) -> None:
        self.batches = batches
        self.first = batches[0]
        self.arrays = self.first if isinstance(self.first, tuple) else (self.first,)


def array_batches(*arrays: NDArray[Any], batch_size: int) -> Any:
    """Cut arrays into batches, in their order; the last one may be smaller.

    Args:
        arrays: each with one row for each image: images in memory or streamed, targets, weights.
        batch_size: rows of one batch.

    Returns:
        keras.utils.PyDataset of arrays, or of tuples of them where several are given. Its `error` is the exception
        that a batch ended with, or None.
    """
    return _array_batches_class()(arrays, batch_size)


@functools.cache
def _array_batches_class() -> Any:
    keras = require_keras("training")

    class ArrayBatches(keras.utils.PyDataset):  # type: ignore[misc, name-defined]
        def __init__(self, arrays: tuple[NDArray[Any], ...], size: int) -> None:
            super().__init__(workers=1, use_multiprocessing=False)
            self._arrays, self._size = arrays, size
            self.error: Exception | None = None

        def __len__(self) -> int:
            return math.ceil(len(self._arrays[0]) / self._size)

        def __getitem__(self, index: int) -> Any:
            rows = slice(index * self._size, (index + 1) * self._size)
            try:
                parts = tuple(array[rows] for array in self._arrays)
            except Exception as error:
                self.error = error
                raise
            return parts if len(parts) > 1 else parts[0]

    return ArrayBatches
