"""Channels whose bias does not fit its integers: their weights get a coarser scale, as TensorFlow's converter does it.

A bias has the scale of the input times that of the channel's weights. Where training has made all weights of a channel
tiny (MobileNetV2's first layer has such channels), the bias is more steps than its integers have, and ai-edge-quantizer
0.10 lets it wrap around.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_fm_export.litert.model_file import constant, operator_name

_LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_MOST_STEPS = 2.0**30
"""Of a bias: half of what 32 bits have, the other half is for the sum of the products."""


def fit_biases(quantized: Any, original: Any) -> None:
    """Make every bias fit, in place.

    Args:
        quantized: of `model_file.read_model`, of one graph.
        original: the float model that it was made of.
    """
    from ai_edge_litert import schema_py_generated as schema

    graph = quantized.subgraphs[0]
    floats = {tensor.name: tensor for tensor in original.subgraphs[0].tensors}
    kinds = {schema.TensorType.INT32: np.int32, schema.TensorType.INT64: np.int64}
    for operator in graph.operators:
        if operator_name(quantized, operator) not in _LAYERS or len(operator.inputs) < 3 or operator.inputs[2] < 0:
            continue
        source, weights, bias = (graph.tensors[int(i)] for i in operator.inputs[:3])
        real = constant(original, floats[bias.name]) if bias.name in floats else None
        values = constant(quantized, weights)
        if real is None or values is None or bias.type not in kinds or weights.type != schema.TensorType.INT8:
            continue
        step = float(source.quantization.scale[0])
        scales = np.broadcast_to(np.asarray(weights.quantization.scale, np.float64), real.shape)
        fitting = np.maximum(scales, np.abs(real, dtype=np.float64) / (step * _MOST_STEPS))
        if np.array_equal(fitting, scales):
            continue
        shape = [1] * values.ndim
        shape[weights.quantization.quantizedDimension] = -1
        coarser = np.rint(values * (scales / fitting).reshape(shape)).astype(np.int8)
        quantized.buffers[weights.buffer].data = np.frombuffer(coarser.tobytes(), np.uint8)
        weights.quantization.scale = fitting.astype(np.float32)
        steps = np.rint(real / (step * fitting)).astype(kinds[bias.type])
        quantized.buffers[bias.buffer].data = np.frombuffer(steps.tobytes(), np.uint8)
        bias.quantization.scale = (step * fitting).astype(np.float32)
