"""Bias correction of a `.tflite` file: integer biases that take back the shift of each channel's mean.

As for ONNX (Nagel 2019, arXiv:1906.04721, section 4.2): each layer by itself, on the float model's activations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.compat.tensorflow_setup import quiet, require_tensorflow
from edge_fm_export.litert.runner import inner_runs
from edge_fm_runtime.arrays import Pixels
from edge_fm_runtime.errors import ExportError

Floats = npt.NDArray[np.float32]
_BITS: dict[str, type[np.signedinteger[Any]]] = {"INT8": np.int8, "INT16": np.int16}
"""Types of activations: 8 bits at int8, 16 at w8a16."""
_BIASES: dict[str, type[np.signedinteger[Any]]] = {"INT32": np.int32, "INT64": np.int64}


@dataclass(frozen=True)
class _Layer:
    """One convolution or dense layer, in the float and in the quantized model.

    Attributes:
        kind: its operator: "CONV_2D", "DEPTHWISE_CONV_2D" or "FULLY_CONNECTED".
        source: index of the tensor that it reads in the float model.
        floats: its weights in float.
        rounded: its weights as they were rounded, in float.
        step: scale of its input; None where that stays in float.
        zero: zero point of its input.
        limits: the smallest and the largest integer that its input can have.
        bias: index of its bias in the quantized model.
        kept: the type of the bias.
        scale: of that bias, one for each channel.
        lost: the float bias less the rounded one.
        options: strides, padding and dilation.
    """

    kind: str
    source: int
    floats: Floats
    rounded: Floats
    step: float
    zero: int
    limits: tuple[int, int]
    bias: int
    kept: type[np.signedinteger[Any]]
    scale: npt.NDArray[np.float64]
    lost: npt.NDArray[np.float64]
    options: Any


def correct_biases(quantized: bytes, original: bytes, images: Iterator[Pixels]) -> bytes:
    """The quantized model with corrected biases.

    Args:
        quantized: a `.tflite` file with 8-bit weights and integer activations, of 8 or 16 bits.
        original: the float `.tflite` file of the same model.
        images: calibration images, batches of uint8 `[N,H,W,C]`.

    Raises:
        ExportError: the two files do not have the same layers.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(quantized))
    layers = _layers(model, flatbuffer_utils.read_model_from_bytearray(bytearray(original)), schema)
    if not layers:
        return quantized
    shifts = _shifts(original, layers, images, schema)
    graph = model.subgraphs[0]
    for layer, shift in zip(layers, shifts, strict=True):
        buffer = model.buffers[graph.tensors[layer.bias].buffer]
        bias = np.frombuffer(bytes(buffer.data), layer.kept).astype(np.float64)
        corrected = _rounded(bias + shift / layer.scale, layer.kept)
        buffer.data = np.frombuffer(corrected.tobytes(), np.uint8)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _rounded(bias: npt.NDArray[np.float64], kind: type[np.signedinteger[Any]]) -> npt.NDArray[Any]:
    """The nearest integers; a float holds those of 64 bits up to 2**53 alone, which no bias comes near."""
    limit = min(int(np.iinfo(kind).max), 2**53)
    return np.clip(np.rint(bias), -limit, limit).astype(kind)


def _layers(quantized: Any, original: Any, schema: Any) -> list[_Layer]:
    pairs = list(zip(_operators(quantized, schema), _operators(original, schema), strict=False))
    if len(_operators(quantized, schema)) != len(_operators(original, schema)) or any(a[0] != b[0] for a, b in pairs):
        raise ExportError(
            "The layers of the quantized model are not in the order of those of the float model: their biases cannot "
            "be corrected.",
            hint="Use --format onnx or openvino, which can.",
        )
    tensors, floats = quantized.subgraphs[0].tensors, original.subgraphs[0].tensors
    types = {getattr(schema.TensorType, name): dtype for name, dtype in _BITS.items()}
    biases = {getattr(schema.TensorType, name): dtype for name, dtype in _BIASES.items()}
    found = []
    for (kind, one), (_, other) in pairs:
        source, weights, bias = (tensors[i] for i in (*one.inputs, *[-1] * (3 - len(one.inputs)))[:3])
        activation, kept = types.get(source.type), biases.get(bias.type)
        if len(one.inputs) < 3 or one.inputs[2] < 0 or activation is None:
            continue
        if kept is None or weights.type != schema.TensorType.INT8:
            continue
        values = _values(quantized, weights, np.int8).astype(np.float32)
        scales = np.asarray(weights.quantization.scale, np.float32)
        shape = [1] * values.ndim
        shape[weights.quantization.quantizedDimension] = -1
        scale = np.asarray(bias.quantization.scale, np.float64)
        own = _values(quantized, bias, kept) * scale
        has_bias = len(other.inputs) > 2 and other.inputs[2] >= 0
        theirs = _values(original, floats[other.inputs[2]], np.float32) if has_bias else np.zeros_like(own)
        found.append(
            _Layer(
                kind,
                other.inputs[0],
                _values(original, floats[other.inputs[1]], np.float32),
                values * scales.reshape(shape),
                float(source.quantization.scale[0]),
                int(source.quantization.zeroPoint[0]),
                (int(np.iinfo(activation).min), int(np.iinfo(activation).max)),
                one.inputs[2],
                kept,
                scale,
                np.asarray(theirs - own, np.float64),
                one.builtinOptions,
            )
        )
    return found


def _operators(model: Any, schema: Any) -> list[tuple[str, Any]]:
    """The layers with weights, in order, and their kinds."""
    kinds = {
        getattr(schema.BuiltinOperator, name): name for name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    }
    graph = model.subgraphs[0]
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    return [
        (kinds[codes[operator.opcodeIndex]], operator)
        for operator in graph.operators
        if codes[operator.opcodeIndex] in kinds and _is_constant(model, graph.tensors[operator.inputs[1]])
    ]


def _is_constant(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _values(model: Any, tensor: Any, dtype: Any) -> npt.NDArray[Any]:
    return np.frombuffer(bytes(model.buffers[tensor.buffer].data), dtype).reshape(tensor.shape)


def _shifts(
    original: bytes, layers: list[_Layer], images: Iterator[Pixels], schema: Any
) -> list[npt.NDArray[np.float64]]:
    """For each layer the mean of each channel in float, less the mean as quantized."""
    totals = [np.zeros(1) for _ in layers]
    count = 0
    for batch, runner in inner_runs(original, images):
        for index, layer in enumerate(layers):
            totals[index] = totals[index] + len(batch) * _shift(layer, runner.get_tensor(layer.source), schema)
        count += len(batch)
    return [total / count + layer.lost for total, layer in zip(totals, layers, strict=True)]


def _shift(layer: _Layer, activation: Floats, schema: Any) -> npt.NDArray[np.float64]:
    """What rounding weights and input took from the mean of each channel, without the bias."""
    steps = np.clip(np.rint(activation / layer.step) + layer.zero, *layer.limits) - layer.zero
    rounded = np.asarray(steps * layer.step, np.float32)
    difference = _compute(layer, activation, layer.floats, schema) - _compute(layer, rounded, layer.rounded, schema)
    return np.asarray(difference.mean(axis=tuple(range(difference.ndim - 1))), np.float64)


def _compute(layer: _Layer, activation: Floats, weights: Floats, schema: Any) -> npt.NDArray[np.float32]:
    if layer.kind == "FULLY_CONNECTED":
        return activation.reshape(-1, weights.shape[1]) @ weights.T
    tf, _ = require_tensorflow("LiteRT export")
    options = layer.options
    padding = "SAME" if options.padding == schema.Padding.SAME else "VALID"
    dilations = [options.dilationHFactor, options.dilationWFactor]
    strides = [options.strideH, options.strideW]
    with quiet():
        if layer.kind == "CONV_2D":
            kernel = weights.transpose(1, 2, 3, 0)
            return np.asarray(tf.nn.conv2d(activation, kernel, strides, padding, dilations=dilations))
        kernel = weights.transpose(1, 2, 3, 0).reshape(
            *weights.shape[1:3], activation.shape[3], weights.shape[3] // activation.shape[3]
        )
        return np.asarray(tf.nn.depthwise_conv2d(activation, kernel, [1, *strides, 1], padding, dilations=dilations))
