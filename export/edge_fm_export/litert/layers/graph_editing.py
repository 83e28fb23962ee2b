"""Adding tensors and operators to a `.tflite` file as objects (`read_model`)."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.litert.model_file import operator_name


def is_rounded(tensor: Any) -> bool:
    """Whether an activation is in integers, with one scale for all channels."""
    from ai_edge_litert import schema_py_generated as schema

    integers = (schema.TensorType.INT8, schema.TensorType.UINT8, schema.TensorType.INT16)
    return tensor.type in integers and len(_scales(tensor)) == 1


def same_rounding(one: Any, other: Any) -> bool:
    """Whether two activations are in integers of the same type, scale and zero point."""
    if not (is_rounded(one) and is_rounded(other)) or one.type != other.type:
        return False
    zeros = [int(tensor.quantization.zeroPoint[0]) for tensor in (one, other)]
    return float(_scales(one)[0]) == float(_scales(other)[0]) and zeros[0] == zeros[1]


def dequantized(tensor: Any, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The real values of a constant tensor's integers."""
    scales = np.asarray(tensor.quantization.scale, np.float32)
    zeros = np.asarray(tensor.quantization.zeroPoint, np.float32)
    shape = [1] * values.ndim
    if len(scales) > 1:
        shape[tensor.quantization.quantizedDimension] = -1
    return np.asarray((values.astype(np.float32) - zeros.reshape(shape)) * scales.reshape(shape), np.float32)


def add_float(model: Any, name: str, like: Any) -> int:
    """Add a computed float tensor of the shape of the tensor `like`, and return its index."""
    from ai_edge_litert import schema_py_generated as schema

    return _add(model, name, like, schema.TensorType.FLOAT32, None)


def add_rounded(model: Any, name: str, like: Any, rounding: Any) -> int:
    """Add a computed tensor of the shape of `like`, in the integers of the tensor `rounding`; return its index."""
    return _add(model, name, like, rounding.type, deepcopy(rounding.quantization))


def add_constant(model: Any, name: str, values: npt.NDArray[Any], like: Any) -> int:
    """Add a constant of the type of `like`, without quantization, and return its index."""
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    model.buffers.append(buffer)
    index = _add(model, name, like, like.type, None)
    tensor = model.subgraphs[0].tensors[index]
    tensor.buffer, tensor.shape, tensor.shapeSignature = len(model.buffers) - 1, list(values.shape), None
    return index


def make_operator(model: Any, kind: str, source: int, result: int) -> Any:
    """An operator that rounds or restores: "QUANTIZE" or "DEQUANTIZE" of the tensor `source` into `result`."""
    from ai_edge_litert import schema_py_generated as schema

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
    code.version = 2
    operator = schema.OperatorT()
    operator.opcodeIndex = add_code(model, code)
    operator.inputs, operator.outputs = [source], [result]
    return operator


def add_code(model: Any, code: Any) -> int:
    """The place of an operator code, which is added if it is not there."""

    def key(entry: Any) -> tuple[Any, ...]:
        return max(entry.builtinCode, entry.deprecatedBuiltinCode), entry.customCode, entry.version

    for place, known in enumerate(model.operatorCodes):
        if key(known) == key(code):
            return place
    model.operatorCodes.append(deepcopy(code))
    return len(model.operatorCodes) - 1


def remove_unread(model: Any) -> None:
    """Remove the operators whose results nothing reads."""
    graph = model.subgraphs[0]
    while True:
        read = {int(index) for operator in graph.operators for index in operator.inputs} | set(map(int, graph.outputs))
        kept = [o for o in graph.operators if read & set(map(int, o.outputs))]
        if len(kept) == len(graph.operators):
            return
        graph.operators = kept


def producer_of(model: Any, tensor: int) -> tuple[str, Any] | None:
    """The kind of the operator that computes a tensor, and the operator; None for inputs and constants."""
    for operator in model.subgraphs[0].operators:
        if tensor in map(int, operator.outputs):
            return operator_name(model, operator), operator
    return None


def _scales(tensor: Any) -> Any:
    found = None if tensor.quantization is None else tensor.quantization.scale
    return () if found is None else found


def _add(model: Any, name: str, like: Any, kind: int, quantization: Any) -> int:
    from ai_edge_litert import schema_py_generated as schema

    tensor = schema.TensorT()
    tensor.name, tensor.type, tensor.quantization = name.encode(), kind, quantization
    tensor.shape, tensor.shapeSignature = deepcopy(like.shape), deepcopy(like.shapeSignature)
    tensor.hasRank = like.hasRank
    tensor.buffer = 0  # the empty one, by the schema
    graph = model.subgraphs[0]
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1
