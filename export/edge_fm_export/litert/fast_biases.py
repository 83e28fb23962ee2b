"""Biases of 32 bits where 64 are not needed: LiteRT has fast kernels of 16-bit activations for these alone."""

from __future__ import annotations

import numpy as np

from edge_fm_export.litert.model_file import constant, consumers, operator_name, read_model, write_model

_LAYERS = ("CONV_2D", "FULLY_CONNECTED")
"""Those that have such kernels; the one of DEPTHWISE_CONV_2D takes biases of 64 bits alone."""
_LARGEST_ACTIVATION = 2**15
_LARGEST_SUM = 2**31 - 1


def shorten_biases(content: bytes) -> bytes:
    """The model with biases of 32 bits wherever no sum can overflow; it computes the same but for the last rounding.

    The largest sum is that of all weights of a channel, each times the largest activation, and its bias.

    Args:
        content: a `.tflite` file of one graph, with 16-bit activations.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = read_model(content)
    (graph,) = model.subgraphs
    for operator in graph.operators:
        if operator_name(model, operator) not in _LAYERS or len(operator.inputs) < 3 or operator.inputs[2] < 0:
            continue
        tensor = graph.tensors[int(operator.inputs[2])]
        weights = constant(model, graph.tensors[int(operator.inputs[1])])
        sharing = [other for other in graph.tensors if other.buffer == tensor.buffer]
        alone = len(sharing) == 1 and len(consumers(graph, int(operator.inputs[2]))) == 1
        if tensor.type != schema.TensorType.INT64 or weights is None or not alone:
            continue
        bias = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.int64)
        sums = np.abs(weights.astype(np.int64)).sum(axis=tuple(range(1, weights.ndim))) * _LARGEST_ACTIVATION
        if int((sums + np.abs(bias)).max()) <= _LARGEST_SUM:
            model.buffers[tensor.buffer].data = np.frombuffer(bias.astype(np.int32).tobytes(), np.uint8)
            tensor.type = operator.builtinOptions.quantizedBiasType = schema.TensorType.INT32
    return write_model(model)
