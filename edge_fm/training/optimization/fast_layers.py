"""Layers that compute the same in less time, where TensorFlow trains on a CPU.

Batch normalization in one kernel: Keras 3 spells it out in elementary operations, each a pass through memory, and their
gradients: a third of the time of training a small network. A depthwise convolution over a whole feature map as the
weighted sum that it is: the kernel for its weights' gradient took 9 of 190 ms of a step of edgenet-m. The mathematics,
the weights and their names are the same; every other backend trains with Keras's own layers, and so does what is saved.
"""

from __future__ import annotations

import functools
from typing import Any

from edge_fm.models.keras_import import require_keras

# The CPU kernel for bfloat16 wants so many channels at a time, and crawls with others; in float32 it does not mind.
_VECTOR = 16


def with_fast_layers(model: Any) -> Any:
    """The model to train, with the same weights.

    Args:
        model: a built Keras model, not compiled.

    Returns:
        keras.Model: a copy, or the model itself where the backend is not TensorFlow, where it holds other models, or
        where none of its layers to be trained is one of these.
    """
    keras = require_keras("training")
    nested = any(isinstance(layer, keras.Model) for layer in model.layers)
    if keras.backend.backend() != "tensorflow" or nested or not any(map(_faster_class, model.layers)):
        return model

    def copy(layer: Any) -> Any:
        return (_faster_class(layer) or type(layer)).from_config(layer.get_config())

    made = keras.models.clone_model(model, clone_function=copy)
    made.set_weights(model.get_weights())
    return made


def _faster_class(layer: Any) -> Any:
    """The class to train a layer with; None for its own."""
    layers = require_keras("training").layers
    if not isinstance(layer, layers.Layer) or not layer.trainable:  # an operation, such as a cast, is no layer
        return None
    if type(layer) is layers.BatchNormalization and _is_plain_norm(layer):
        return _fused_norm_class()
    if type(layer) is layers.DepthwiseConv2D and _covers_map(layer):
        return _weighted_sum_class()
    return None


def _is_plain_norm(layer: Any) -> bool:
    maps = len(layer.input.shape) == 4 and layer.axis in (-1, 3)
    return bool(maps and layer.scale and layer.center and not layer.synchronized)


def _covers_map(layer: Any) -> bool:
    return (
        layer.data_format == "channels_last"
        and layer.padding == "valid"
        and layer.depth_multiplier == 1
        and tuple(layer.dilation_rate) == (1, 1)
        and tuple(layer.kernel_size) == tuple(layer.input.shape[1:3])
    )


@functools.cache
def _fused_norm_class() -> Any:
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
            # The kernel returns the unbiased variance; Keras uses the batch's own.
            count = tf.cast(tf.size(inputs) // inputs.shape[-1], variance.dtype)
            variance *= (count - 1) / count
            for average, batch_value in ((self.moving_mean, mean), (self.moving_variance, variance)):
                average.assign(average * self.momentum + batch_value * (1.0 - self.momentum))
            return tf.cast(scaled, inputs.dtype)

    return FusedBatchNormalization


@functools.cache
def _weighted_sum_class() -> Any:
    keras = require_keras("training")

    class WeightedSum(keras.layers.DepthwiseConv2D):  # type: ignore[misc, name-defined]
        """Keras's layer where its kernel is as large as the map: `[N,H,W,C]` -> `[N,1,1,C]`."""

        def call(self, inputs: Any) -> Any:
            # Summed in float32: many terms of bfloat16 would lose the small ones.
            terms = keras.ops.cast(inputs, "float32") * keras.ops.cast(self.kernel[..., 0], "float32")
            found = keras.ops.sum(terms, axis=(1, 2), keepdims=True)
            if self.use_bias:
                found += keras.ops.cast(self.bias, "float32")
            return self.activation(keras.ops.cast(found, inputs.dtype))

    return WeightedSum
