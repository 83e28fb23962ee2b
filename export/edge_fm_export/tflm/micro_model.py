"""The int8 `.tflite` file of TensorFlow Lite Micro: int8 in, int8 out, one image, and no more than a device reads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from edge_fm_export.litert.input_scaling import PIXEL_ZERO
from edge_fm_export.litert.model_file import compact, consumers, operator_name, read_model, write_model
from edge_fm_export.tflm.operators import operators_of
from edge_fm_runtime.errors import ExportError


@dataclass(frozen=True)
class TensorSpec:
    """Scale and zero point of an int8 tensor: value = scale * (int8 - zero_point)."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class MicroModel:
    """A model for TFLM.

    Attributes:
        content: the bytes of the `.tflite` file.
        input: of the pixels; int8 = pixel - 128, whatever the scale is.
        output: of the probabilities.
        operators: names of its operators, each once.
        largest_step_bytes: what one operator reads and writes at the same time, at the most; an arena is larger.
        layers: the layer of each operator in turn, for messages.
    """

    content: bytes
    input: TensorSpec
    output: TensorSpec
    operators: tuple[str, ...]
    largest_step_bytes: int
    layers: tuple[str, ...]


def micro_model(content: bytes) -> MicroModel:
    """Make the model of TFLM from a full-integer model for LiteRT.

    The operators that turn uint8 pixels into int8, and int8 probabilities into floats, are dropped: the device does the
    first by flipping the highest bit, and needs no floats. So are names, signatures and metadata.

    Args:
        content: a `.tflite` file of one image, uint8 in and float32 out, as `litert_format` makes it.

    Raises:
        ExportError: not all of it computes in int8, or a shape is not fixed.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = read_model(content)
    graph = model.subgraphs[0]
    _drop_casts(model)
    (given,), (result,) = graph.inputs, graph.outputs
    tensors = graph.tensors
    wrong = [t for t in (tensors[given], tensors[result]) if t.type != schema.TensorType.INT8]
    if wrong or not all(_has_scale(tensors[i]) for i in (given, result)):
        raise ExportError(
            "LiteRT's converter left the input or the output of the int8 model in float: TensorFlow Lite Micro needs "
            "int8 throughout.",
            hint="Use --format litert.",
        )
    for tensor in tensors:
        if tensor.shapeSignature is not None and any(int(side) < 0 for side in tensor.shapeSignature):
            name = (tensor.name or b"").decode("utf-8", "replace")
            raise ExportError(
                f"The shape of {name} is known only when the model runs; TensorFlow Lite Micro plans its memory for "
                "fixed shapes.",
                hint="Give the layer that makes it a fixed shape, or use --format litert.",
            )
    layers = tuple((tensors[int(o.outputs[0])].name or b"").decode("utf-8", "replace") for o in graph.operators)
    given_spec, result_spec = _spec(tensors[given]), _spec(tensors[result])
    for tensor in tensors:
        tensor.name = None
    graph.name = model.description = model.signatureDefs = model.metadata = model.metadataBuffer = None
    compact(model)
    return MicroModel(
        write_model(model), given_spec, result_spec, operators_of(model), largest_step_bytes(model), layers
    )


def largest_step_bytes(model: Any, *, element_bytes: int | None = None) -> int:
    """What one operator of a model reads and writes at the same time, at the most, constants not counted.

    Args:
        model: of `model_file.read_model`.
        element_bytes: the size of a value; None for that of each tensor's own type.
    """
    from ai_edge_litert import schema_py_generated as schema

    sizes = {schema.TensorType.INT8: 1, schema.TensorType.UINT8: 1, schema.TensorType.BOOL: 1}
    graph = model.subgraphs[0]

    def size(index: int) -> int:
        tensor = graph.tensors[index]
        data = model.buffers[tensor.buffer].data
        if data is not None and len(data):
            return 0
        shape = [] if tensor.shape is None else [max(1, int(side)) for side in tensor.shape]
        return math.prod(shape) * (element_bytes or sizes.get(tensor.type, 4))

    return max(sum(size(i) for i in {int(i) for i in (*o.inputs, *o.outputs) if i >= 0}) for o in graph.operators)


def _drop_casts(model: Any) -> None:
    """Let the graph begin with pixels less 128 as int8, and end before the operator that makes floats."""
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    readers = consumers(graph, int(graph.inputs[0]))
    if len(readers) == 1 and operator_name(model, readers[0]) == "CAST":
        values = int(readers[0].outputs[0])
        quantizers = consumers(graph, values)
        if len(quantizers) == 1 and operator_name(model, quantizers[0]) == "QUANTIZE":
            # The calibrated range of pixels is not always 0..255: the operator stays, from int8 to int8.
            tensor = graph.tensors[values]
            tensor.type, tensor.quantization = schema.TensorType.INT8, schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [1.0], [PIXEL_ZERO]
            graph.inputs = [values]
            graph.operators = [o for o in graph.operators if o is not readers[0]]
            readers = quantizers if _spec(graph.tensors[int(quantizers[0].outputs[0])]) == _spec(tensor) else []
    if len(readers) == 1 and operator_name(model, readers[0]) == "QUANTIZE":
        graph.inputs = [int(readers[0].outputs[0])]
        graph.operators = [o for o in graph.operators if o is not readers[0]]
    last = next((o for o in graph.operators if int(graph.outputs[0]) in list(o.outputs)), None)
    if last is not None and operator_name(model, last) == "DEQUANTIZE":
        graph.outputs = [int(last.inputs[0])]
        graph.operators = [o for o in graph.operators if o is not last]


def _has_scale(tensor: Any) -> bool:
    quantization = tensor.quantization
    return quantization is not None and quantization.scale is not None and len(quantization.scale) == 1


def _spec(tensor: Any) -> TensorSpec:
    return TensorSpec(float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0]))
