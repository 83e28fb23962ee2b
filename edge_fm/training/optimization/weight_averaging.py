"""The running average of a model's weights: computed by the optimizer, evaluated with statistics of its own."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_fm.models.keras_import import require_keras

# Images from which the statistics of batch normalization are taken: "Rethinking 'Batch' in BatchNorm" (Wu and Johnson
# 2021) finds 1,000 to 10,000 enough.
_STATISTICS_IMAGES = 8192


@functools.cache
def averaging_class(cls: type[Any], decay: float) -> type[Any]:
    """An optimizer class like `cls` that keeps an exponential moving average of the weights in `averages`.

    The averages are variables of the optimizer, one for each trainable variable that it is built with, in that order.
    They are updated within the compiled step. At first the decay is less, `t / (t + 9)` after t steps, as
    `tf.train.ExponentialMovingAverage` does: the fresh weights that a run begins with are soon forgotten, so that the
    average of a short run is one of its last ninth rather than of noise.

    Args:
        cls: a class of keras.optimizers.
        decay: share of the average that one step leaves, above 0 and below 1.
    """
    ops = require_keras("training").ops

    class Averaging(cls):  # type: ignore[misc]
        def build(self, variables: Any) -> None:
            if self.built:
                return
            super().build(variables)
            self.averages = [self.add_variable_from_reference(v, name="average") for v in variables]
            self.averaged = tuple(variables)

        def apply(self, grads: Any, trainable_variables: Any = None) -> None:
            done = ops.cast(self.iterations, "float32")
            super().apply(grads, trainable_variables)
            keep = ops.minimum(decay, done / (done + 9.0))
            for average, variable in zip(self.averages, self.averaged, strict=True):
                self.assign(average, keep * average + (1.0 - keep) * variable)

    Averaging.__name__ = cls.__name__
    return Averaging


def recompute_statistics(model: Any, batches: Iterable[NDArray[np.uint8]]) -> None:
    """Give batch normalization the statistics that belong to the model's weights, as the plain mean over some batches.

    The moving statistics that training left are those of other weights than the averaged ones. Frozen layers keep
    theirs, and nothing else of the model changes.

    Args:
        model: a Keras model.
        batches: uint8 images `[B,H,W,C]`, as training sees them.
    """
    keras = require_keras("training")
    layers = [layer for layer in _all_layers(model) if isinstance(layer, keras.layers.BatchNormalization)]
    layers = [layer for layer in layers if layer.trainable]
    if not layers:
        return
    settled = {id(variable) for layer in layers for variable in layer.non_trainable_variables}
    others = [v for v in model.non_trainable_variables if id(v) not in settled]
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in others]
    momenta = [layer.momentum for layer in layers]
    try:
        for number, images in enumerate(batches):
            for layer in layers:
                layer.momentum = number / (number + 1)
            model(images, training=True)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for variable, value in zip(others, before, strict=True):
            variable.assign(value)


def statistics_batches(batches: Any, batch_size: int) -> Iterable[NDArray[np.uint8]]:
    """The images of as many of an epoch's batches as `recompute_statistics` needs."""
    count = min(len(batches), -(-_STATISTICS_IMAGES // batch_size))
    return (batches[index][0] for index in range(count))


def _all_layers(model: Any) -> list[Any]:
    found = []
    for layer in model.layers:
        found += [layer, *_all_layers(layer)] if hasattr(layer, "layers") else [layer]
    return found
