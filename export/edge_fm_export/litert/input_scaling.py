"""Fold the scaling of pixels into the quantization of an int8 `.tflite` file's input.

The converter leaves the scaling as operators on 8-bit values: a cast to float, `QUANTIZE`, then `MUL` and `ADD` whose
results are rounded once more, on scales that were calibrated. Where the scaling is one factor and one offset for all
channels, a scale and a zero point express it, and the pixels themselves are the 8-bit values: int8 = pixel - 128.
A zero point is a whole number: what the nearest one misses, at most half a pixel value, goes into the bias of the layer
that reads the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_fm_export.litert.model_file import compact, constant, consumers, operator_name, read_model, write_model

PIXEL_ZERO = -128
"""The int8 value of a black pixel."""
_SCALING = ("MUL", "ADD", "SUB")
_SAME_VALUES = ("RESHAPE", "PAD")
"""Operators whose result has the quantization of what they read."""
_LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_INT32 = np.iinfo(np.int32)


@dataclass
class _Chain:
    """The operators from the input to the first layer.

    Attributes:
        scaling: those that cast, quantize and scale.
        tensors: indices of the tensors after them, each with the scaled pixels' quantization.
        layer: the first layer with weights; None where another operator reads the scaled pixels.
        factor: what pixels are multiplied by.
        offset: what is added then.
    """

    scaling: list[Any]
    tensors: list[int]
    layer: Any | None
    factor: float
    offset: float


def fold_input_scaling(content: bytes) -> bytes:
    """The int8 model with the scaling of its pixels in the quantization of its input; unchanged where that cannot be.

    It cannot where channels are scaled differently, where pixels are inverted or shifted out of the range of a zero
    point, or where something other than a convolution or a dense layer reads them.

    Args:
        content: a full-integer `.tflite` file with uint8 input, as TensorFlow's converter writes it.
    """
    model = read_model(content)
    chain = _find_chain(model)
    if chain is None or chain.factor <= 0:
        return content
    zero = round(PIXEL_ZERO - chain.offset / chain.factor)
    if not -128 <= zero <= 127:
        return content
    missed = chain.factor * (zero - PIXEL_ZERO) + chain.offset
    graph = model.subgraphs[0]
    if chain.layer is None or not _requantize(model, chain, missed):
        return content
    for index in chain.tensors:
        _set_quantization(graph.tensors[index], chain.factor, zero)
    quantize = next(o for o in chain.scaling if operator_name(model, o) == "QUANTIZE")
    _set_quantization(graph.tensors[graph.inputs[0]], chain.factor, zero + 128)
    quantize.inputs, quantize.outputs = [graph.inputs[0]], [chain.tensors[0]]
    graph.operators = [o for o in graph.operators if o is quantize or o not in chain.scaling]
    compact(model)
    return write_model(model)


def _find_chain(model: Any) -> _Chain | None:
    graph = model.subgraphs[0]
    if len(model.subgraphs) != 1:
        return None
    current, scaling, factor, offset = int(graph.inputs[0]), [], 1.0, 0.0
    while True:
        readers = _readers(model, current)
        if len(readers) != 1:
            return None
        kind = operator_name(model, readers[0])
        if kind not in ("CAST", "QUANTIZE", *_SCALING):
            break
        if kind in _SCALING:
            value = _scalar(model, readers[0], current)
            if value is None or readers[0].builtinOptions.fusedActivationFunction:
                return None
            if kind == "MUL":
                factor, offset = factor * value, offset * value
            else:
                offset += value if kind == "ADD" else -value
        scaling.append(readers[0])
        current = int(readers[0].outputs[0])
    if not any(operator_name(model, o) == "QUANTIZE" for o in scaling):
        return None
    tensors = [current]
    while kind in _SAME_VALUES:
        current = int(readers[0].outputs[0])
        readers = _readers(model, current)
        if len(readers) != 1:
            return None
        tensors.append(current)
        kind = operator_name(model, readers[0])
    layer = readers[0] if kind in _LAYERS and int(readers[0].inputs[0]) == current else None
    return _Chain(scaling, tensors, layer, factor, offset)


def _readers(model: Any, tensor: int) -> list[Any]:
    """The operators that read the values of a tensor, and not its shape alone."""
    return [o for o in consumers(model.subgraphs[0], tensor) if operator_name(model, o) != "SHAPE"]


def _scalar(model: Any, operator: Any, current: int) -> float | None:
    """The one value that an operator scales with; None where there are several, or it is computed."""
    inputs = [int(i) for i in operator.inputs]
    if len(inputs) != 2 or inputs[0] != current:
        return None
    tensor = model.subgraphs[0].tensors[inputs[1]]
    values = constant(model, tensor)
    if values is None or tensor.quantization is None or np.unique(values).size != 1:
        return None
    return float(tensor.quantization.scale[0]) * (int(values.flat[0]) - int(tensor.quantization.zeroPoint[0]))


def _requantize(model: Any, chain: _Chain, missed: float) -> bool:
    """Give the layer's bias the scale of its new input and what the zero point missed; False where it has no bias."""
    graph, layer = model.subgraphs[0], chain.layer
    if layer is None or len(layer.inputs) < 3 or layer.inputs[2] < 0:
        return False
    weights, bias = graph.tensors[layer.inputs[1]], graph.tensors[layer.inputs[2]]
    values, old = constant(model, weights), constant(model, bias)
    if values is None or old is None or old.dtype != np.int32 or values.dtype != np.int8:
        return False
    scales = np.asarray(weights.quantization.scale, np.float64)
    channel = 3 if operator_name(model, layer) == "DEPTHWISE_CONV_2D" else 0
    sums = values.astype(np.int64).sum(axis=tuple(i for i in range(values.ndim) if i != channel)) * scales
    real = old * np.asarray(bias.quantization.scale, np.float64) + missed * sums
    scale = (np.float32(chain.factor) * scales.astype(np.float32)).astype(np.float32)
    rounded = np.clip(np.rint(real / scale), _INT32.min, _INT32.max).astype(np.int32)
    shared = [t for t in graph.tensors if t.buffer == bias.buffer]
    if len(shared) != 1 or len(consumers(graph, int(layer.inputs[2]))) != 1:
        return False
    model.buffers[bias.buffer].data = np.frombuffer(rounded.tobytes(), np.uint8)
    bias.quantization.scale = scale.tolist()
    return True


def _set_quantization(tensor: Any, scale: float, zero: int) -> None:
    from ai_edge_litert import schema_py_generated as schema

    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = [float(np.float32(scale))], [zero]
