"""Channels whose bias does not fit its integers: their weights get a coarser scale, as TensorFlow's converter does it.

A bias has the scale of the input times that of the channel's weights. Where training has made all weights of a channel
tiny (MobileNetV2's first layer has such channels), the bias is more steps than its integers have, and ai-edge-quantizer
0.10 lets it wrap around.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.litert.model_file import constant, operator_name
from edge_fm_runtime.errors import ExportError

_KINDS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_MOST_STEPS = 2.0**30
"""Of a bias: half of what 32 bits have, the other half is for the sum of the products."""


def fit_biases(quantized: Any, original: Any) -> None:
    """Make every bias fit, in place.

    Args:
        quantized: of `model_file.read_model`, of one graph.
        original: the float model that it was made of.

    Raises:
        ExportError: the two do not have the same layers.
    """
    layers: dict[int, list[_Layer]] = {}
    for layer in _layers(quantized, original):
        layers.setdefault(layer.weights.buffer, []).append(layer)
    # Calls of one layer may share its weights, which have one scale for all of them.
    for calls in layers.values():
        _fit(quantized, calls)


@dataclass(frozen=True)
class _Layer:
    """One convolution or dense layer with 8-bit weights.

    Attributes:
        weights: their tensor.
        bias: its tensor.
        kind: the type of the bias.
        step: scale of the layer's input.
        real: the bias in float, `[channels]`.
    """

    weights: Any
    bias: Any
    kind: type[np.signedinteger[Any]]
    step: float
    real: npt.NDArray[np.float64]


def _layers(quantized: Any, original: Any) -> Iterator[_Layer]:
    from ai_edge_litert import schema_py_generated as schema

    kinds: dict[int, type[np.signedinteger[Any]]] = {
        schema.TensorType.INT32: np.int32,
        schema.TensorType.INT64: np.int64,
    }
    graph, floats = quantized.subgraphs[0], original.subgraphs[0]
    mine, theirs = (
        [
            (name, operator)
            for operator in model.subgraphs[0].operators
            if (name := operator_name(model, operator)) in _KINDS
        ]
        for model in (quantized, original)
    )
    if [name for name, _ in mine] != [name for name, _ in theirs]:
        raise ExportError(
            "The layers of the model that ai-edge-quantizer made are not in the order of those of the float model.",
            hint="Use --precision fp16, or another --format.",
        )
    # By their places: what ai-edge-quantizer duplicates has another name.
    for (_, operator), (_, twin) in zip(mine, theirs, strict=True):
        if len(operator.inputs) < 3 or operator.inputs[2] < 0 or len(twin.inputs) < 3 or twin.inputs[2] < 0:
            continue
        source, weights, bias = (graph.tensors[int(i)] for i in operator.inputs[:3])
        real = constant(original, floats.tensors[int(twin.inputs[2])])
        if real is None or bias.type not in kinds or weights.type != schema.TensorType.INT8:
            continue
        if constant(quantized, weights) is not None:
            step = float(source.quantization.scale[0])
            yield _Layer(weights, bias, kinds[bias.type], step, real.astype(np.float64))


def _fit(quantized: Any, calls: Sequence[_Layer]) -> None:
    """Let the biases of all layers that share their weights fit."""
    weights = calls[0].weights
    values = constant(quantized, weights)
    assert values is not None
    scales = np.broadcast_to(np.asarray(weights.quantization.scale, np.float64), calls[0].real.shape)
    fitting = np.maximum.reduce([scales, *(np.abs(call.real) / (call.step * _MOST_STEPS) for call in calls)])
    if np.array_equal(fitting, scales):
        return
    shape = [1] * values.ndim
    shape[weights.quantization.quantizedDimension] = -1
    coarser = np.rint(values * (scales / fitting).reshape(shape)).astype(np.int8)
    quantized.buffers[weights.buffer].data = np.frombuffer(coarser.tobytes(), np.uint8)
    for call in calls:
        call.weights.quantization.scale = fitting.astype(np.float32)
        steps = np.rint(call.real / (call.step * fitting)).astype(call.kind)
        quantized.buffers[call.bias.buffer].data = np.frombuffer(steps.tobytes(), np.uint8)
        call.bias.quantization.scale = (call.step * fitting).astype(np.float32)
