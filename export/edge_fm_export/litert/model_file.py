"""A `.tflite` file as objects: reading it, writing it, and dropping what nothing in it refers to any more."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

_COMPUTE = re.compile(r"(convolution|depthwise|MatMul)[_0-9]*")


def read_model(content: bytes) -> Any:
    """The model as a `schema_py_generated.ModelT` (schema.fbs)."""
    from ai_edge_litert.tools import flatbuffer_utils

    return flatbuffer_utils.read_model_from_bytearray(bytearray(content))


def write_model(model: Any) -> bytes:
    """The bytes of the `.tflite` file; the same model gives the same bytes."""
    from ai_edge_litert.tools import flatbuffer_utils

    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def operator_names() -> dict[int, str]:
    """Number of a builtin operator -> its name, such as "CONV_2D"."""
    from ai_edge_litert import schema_py_generated as schema

    return {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}


def operator_name(model: Any, operator: Any) -> str:
    """The name of an operator's kind; of a custom one the name that it was given."""
    from ai_edge_litert import schema_py_generated as schema

    code = model.operatorCodes[operator.opcodeIndex]
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    if number == schema.BuiltinOperator.CUSTOM:
        return str((code.customCode or b"").decode("utf-8", "replace"))
    return operator_names().get(number, str(number))


def main_part(tensor: str) -> str:
    """The part of a fused operator's name that computes with weights, if one does; else the whole name.

    Other parts may be of other layers: equal constants are stored once, with the name of the first.

    Example:
        >>> main_part("net_1/relu_1/Relu6;net_1/conv_1/convolution;net_1/other_bn_1/batchnorm/Rsqrt1")
        'net_1/conv_1/convolution'
    """
    return next((part for part in tensor.split(";") if _COMPUTE.fullmatch(part.rpartition("/")[2])), tensor)


def constant(model: Any, tensor: Any) -> npt.NDArray[Any] | None:
    """The values of a constant int8, int32 or float32 tensor in its own shape; None where it is computed."""
    from ai_edge_litert import schema_py_generated as schema

    kinds = {
        schema.TensorType.INT8: np.int8,
        schema.TensorType.INT32: np.int32,
        schema.TensorType.FLOAT32: np.float32,
    }
    data = model.buffers[tensor.buffer].data
    if data is None or not len(data) or tensor.type not in kinds:
        return None
    shape = [] if tensor.shape is None else list(tensor.shape)
    return np.frombuffer(bytes(data), kinds[tensor.type]).reshape(shape)


def consumers(graph: Any, tensor: int) -> list[Any]:
    """The operators that read a tensor, by its index."""
    return [operator for operator in graph.operators if tensor in list(operator.inputs)]


def compact(model: Any) -> None:
    """Remove tensors, buffers and operator codes that nothing refers to; for models of one subgraph."""
    (graph,) = model.subgraphs
    used = sorted(
        {
            *(int(i) for i in (*graph.inputs, *graph.outputs)),
            *(int(i) for o in graph.operators for i in (*o.inputs, *o.outputs) if i >= 0),
            *(int(i) for o in graph.operators if o.intermediates is not None for i in o.intermediates),
        }
    )
    place = {old: new for new, old in enumerate(used)}
    graph.tensors = [graph.tensors[i] for i in used]
    graph.inputs = [place[int(i)] for i in graph.inputs]
    graph.outputs = [place[int(i)] for i in graph.outputs]
    for operator in graph.operators:
        operator.inputs = [place[int(i)] if i >= 0 else -1 for i in operator.inputs]
        operator.outputs = [place[int(i)] for i in operator.outputs]
        if operator.intermediates is not None:
            operator.intermediates = [place[int(i)] for i in operator.intermediates]
    for signature in model.signatureDefs or []:
        for entry in (*signature.inputs, *signature.outputs):
            entry.tensorIndex = place[int(entry.tensorIndex)]
    codes = sorted({operator.opcodeIndex for operator in graph.operators})
    model.operatorCodes = [model.operatorCodes[i] for i in codes]
    for operator in graph.operators:
        operator.opcodeIndex = codes.index(operator.opcodeIndex)
    # Buffer 0 is the empty one, by the schema.
    buffers = sorted({0, *(t.buffer for t in graph.tensors), *(m.buffer for m in model.metadata or [])})
    model.buffers = [model.buffers[i] for i in buffers]
    for holder in (*graph.tensors, *(model.metadata or [])):
        holder.buffer = buffers.index(holder.buffer)
