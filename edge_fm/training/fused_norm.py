"""Batch normalization in one kernel, where TensorFlow trains.

Keras 3 spells it out in elementary operations, each a pass through memory, and their gradients: a third of the time of
training a small network on a CPU. TensorFlow has a kernel for all of it. The mathematics, the weights and their names
are the same; every other backend trains with Keras's own layer, and so does what is saved.
"""

from __future__ import annotations

import functools
from typing import Any

from edge_fm.models.keras_import import require_keras

# The CPU kernel for bfloat16 wants so many channels at a time, and crawls with others; in float32 it does not mind.
_VECTOR = 16


def with_fused_norm(model: Any) -> Any:
    """The model to train, with the same weights.

    Args:
        model: a built Keras model, not compiled.

    Returns:
        keras.Model: a copy, or the model itself where the backend is not TensorFlow, where it holds other models, or
        where no batch normalization of feature maps `[N,H,W,C]` is to be trained.
    """
    keras = require_keras("training")
    nested = any(isinstance(layer, keras.Model) for layer in model.layers)
    if keras.backend.backend() != "tensorflow" or nested or not any(map(_fits, model.layers)):
        return model
    fused = _fused_class()

    def copy(layer: Any) -> Any:
        return (fused if _fits(layer) else type(layer)).from_config(layer.get_config())

    made = keras.models.clone_model(model, clone_function=copy)
    made.set_weights(model.get_weights())
    return made


def _fits(layer: Any) -> bool:
    keras = require_keras("training")
    return (
        type(layer) is keras.layers.BatchNormalization
        and layer.trainable
        and len(layer.input.shape) == 4
        and layer.axis in (-1, 3)
        and layer.scale
        and layer.center
        and not layer.synchronized
    )


@functools.cache
def _fused_class() -> Any:
    import tensorflow as tf

    keras = require_keras("training")

    class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc, name-defined]
        """Keras's layer, whose batches in training go through TensorFlow's kernel."""

        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            if not training or not self.trainable:
                return super().call(inputs, training=training, mask=mask)
            wide = inputs.shape[-1] % _VECTOR == 0
            scaled, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
                x=inputs if wide else tf.cast(inputs, "float32"),
                scale=tf.convert_to_tensor(self.gamma),
                offset=tf.convert_to_tensor(self.beta),
                mean=tf.zeros([0]),
                variance=tf.zeros([0]),
                epsilon=self.epsilon,
                is_training=True,
            )
            # The kernel tells the variance of the population from which the batch is a sample; Keras keeps the batch's.
            count = tf.cast(tf.size(inputs) // inputs.shape[-1], variance.dtype)
            variance *= (count - 1) / count
            for kept, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
                kept.assign(kept * self.momentum + now * (1.0 - self.momentum))
            return tf.cast(scaled, inputs.dtype)

    return FusedBatchNormalization
