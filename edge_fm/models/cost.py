"""What a model costs to run, counted from its layers."""

from __future__ import annotations

import math
from typing import Any

from edge_fm.models.keras_import import require_keras
from edge_fm_runtime.errors import ModelError


def count_macs(model: Any) -> int:
    """Count the multiply-accumulates of one image: convolutions and dense layers.

    Batch normalization, activations, additions and pooling are not counted, as is usual; a layer that is called
    twice counts once.

    Args:
        model: a built Keras model with one image as its input.

    Raises:
        ModelError: a layer with a weight matrix that this function cannot count.

    Example:
        >>> from edge_fm.models import build_model, count_macs
        >>> model = build_model("edgenet-s", input_shape=(28, 28, 1), classes=10)
        >>> count_macs(model) > model.count_params()
        True
    """
    keras = require_keras("counting a model's cost")
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            total += count_macs(layer)
        elif isinstance(layer, keras.layers.SeparableConv2D):
            # The depthwise half already runs at the output's size.
            pixels = _pixels(layer)
            total += pixels * (math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape))
        elif isinstance(layer, keras.layers.Conv2DTranspose):
            total += math.prod(layer.input.shape[1:3]) * math.prod(layer.kernel.shape)
        elif isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
            total += _pixels(layer) * math.prod(layer.kernel.shape)
        elif isinstance(layer, keras.layers.Dense):
            total += math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape)
        elif any(len(weight.shape) > 1 for weight in layer.trainable_weights):
            raise ModelError(
                f"The cost of layer {layer.name!r} ({type(layer).__name__}) is unknown. "
                "Supported: Conv2D, DepthwiseConv2D, SeparableConv2D, Conv2DTranspose, Dense."
            )
    return total


def _pixels(layer: Any) -> int:
    height, width = layer.output.shape[1:3] if layer.data_format == "channels_last" else layer.output.shape[2:4]
    return int(height) * int(width)
