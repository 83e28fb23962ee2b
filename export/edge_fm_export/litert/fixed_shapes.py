"""Fix the batch of a `.tflite` file at one image: shapes that it computes when it runs become constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_fm_export.litert.model_file import compact, operator_name, read_model, write_model


def fix_shapes(content: bytes) -> bytes:
    """The same model for one image, without operators that compute shapes alone; unchanged where all are fixed.

    The converter makes another model of a graph whose batch is fixed: it fuses other operators, and quantizes to other
    scales. This one computes to the bit what `content` does for a batch of one.

    Args:
        content: a `.tflite` file of one graph, whose shapes follow from that of its input.
    """
    model = read_model(content)
    graph = model.subgraphs[0]
    if len(model.subgraphs) != 1 or not _is_dynamic(graph):
        return content
    runner = _run_once(content)
    details = {entry["index"]: entry for entry in runner.get_tensor_details()}
    for index, tensor in enumerate(graph.tensors):
        if index in details:
            tensor.shape = [int(side) for side in details[index]["shape"]]
        tensor.shapeSignature = None
    known = {i for i, tensor in enumerate(graph.tensors) if _has_data(model, tensor)}
    kept = []
    for operator in graph.operators:
        inputs = {int(i) for i in operator.inputs if i >= 0}
        if not (operator_name(model, operator) == "SHAPE" or (inputs and inputs <= known)):
            kept.append(operator)
            continue
        for index in map(int, operator.outputs):
            known.add(index)
            _set_constant(model, graph.tensors[index], runner.get_tensor(index))
    graph.operators = kept
    compact(model)
    return write_model(model)


def _is_dynamic(graph: Any) -> bool:
    return any(
        tensor.shapeSignature is not None and any(int(side) < 0 for side in tensor.shapeSignature)
        for tensor in graph.tensors
    )


def _run_once(content: bytes) -> Any:
    """An interpreter of the model that has run one image, and has kept all its tensors."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    runner = Interpreter(
        model_content=content,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    (given,) = runner.get_input_details()
    runner.resize_tensor_input(given["index"], [1, *given["shape"][1:]])
    runner.allocate_tensors()
    runner.set_tensor(given["index"], np.zeros([1, *given["shape"][1:]], given["dtype"]))
    runner.invoke()
    return runner


def _has_data(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _set_constant(model: Any, tensor: Any, value: Any) -> None:
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor.buffer = len(model.buffers) - 1
    tensor.shape = [int(side) for side in np.shape(value)]
