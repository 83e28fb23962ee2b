"""Rewrite a converted ONNX graph: simplified, named and ordered by the network alone, checked."""

from __future__ import annotations

import re
from typing import Any

from edge_fm_export.onnx.graph_edits import replace_constants, replace_nodes, reset_header
from edge_fm_export.onnx.padding import keep_zero_padding
from edge_fm_export.onnx.subgraphs import captured, name_loop_outputs, rename_tensors
from edge_fm_export.unique_names import unused_name
from edge_fm_runtime.errors import ExportError

_COUNTER = re.compile(r"__\d+")
_READ = re.compile(r"(/ReadVariableOp|/resource|:0)+$")
MAX_ONNX_BYTES = (1 << 31) - 1


def simplify(model: Any) -> Any:
    """Simplify `model` (an onnx.ModelProto) with onnxslim, and finalize it.

    Args:
        model: the graph; opset and IR version stay.

    Raises:
        ExportError: the result does not pass onnx.checker, or exceeds protobuf's 2 GiB.
    """
    import onnx
    import onnxslim

    slim = onnxslim.slim(model)
    name_loop_outputs(slim.graph)
    return finalize(onnx.shape_inference.infer_shapes(keep_zero_padding(slim)))


def finalize(model: Any) -> Any:
    """Order and rename `model` so that the same network gives the same bytes, and check it."""
    import onnx

    _order(model.graph)
    _rename(model.graph)
    _name_batch(model.graph)
    reset_header(model)
    if model.ByteSize() > MAX_ONNX_BYTES:
        raise ExportError("The ONNX graph exceeds protobuf's 2 GiB.", hint="Export a smaller model.")
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(
            f"The converted ONNX graph does not pass onnx.checker: {error}",
            hint="Try --format openvino or savedmodel.",
        ) from error
    return model


def _order(graph: Any) -> None:
    """Sort the nodes depth first from the outputs, constants by first use: an order that depends on the graph alone."""
    maker = {output: index for index, node in enumerate(graph.node) for output in node.output}
    nodes = list(graph.node)
    done: dict[int, None] = {}
    for output in graph.output:
        stack = [(maker[output.name], False)] if output.name in maker else []
        while stack:
            index, ready = stack.pop()
            if index in done:
                continue
            if ready:
                done[index] = None
                continue
            stack.append((index, True))
            needs = [maker[i] for i in (*nodes[index].input, *captured(nodes[index])) if i in maker]
            stack.extend((n, False) for n in reversed(needs) if n not in done)
    ordered = [nodes[index] for index in done]
    constants = {c.name: c for c in graph.initializer}
    used = [i for node in ordered for i in (*node.input, *captured(node)) if i in constants]
    used += [o.name for o in graph.output if o.name in constants]
    replace_nodes(graph, ordered)
    replace_constants(graph, [constants[name] for name in dict.fromkeys(used)])
    del graph.value_info[:]


def _rename(graph: Any) -> None:
    """Take tf2onnx's counters out of all names, but those of the graph's inputs and outputs.

    A constant that several nodes use is named after the first: TensorFlow makes one of equal ones, now of this layer's
    name and now of that one's.
    """
    fixed = {v.name for v in (*graph.input, *graph.output)}
    taken = set(fixed)
    tensors: dict[str, str] = {name: name for name in fixed} | {"": ""}

    for node in graph.node:
        node.name = _layer_name(node)
    uses: dict[str, list[str]] = {}
    for node in graph.node:
        for place, name in enumerate((*node.input, *captured(node))):
            uses.setdefault(name, []).append(f"{node.name}/input_{place}")
    for constant in graph.initializer:
        users = uses.get(constant.name, [])
        wanted = users[0] if len(users) > 1 else _plain(constant.name, "constant")
        tensors[constant.name] = constant.name = unused_name(wanted, taken)
    for node in graph.node:
        for output in node.output:
            tensors.setdefault(output, "")
            if output not in fixed and output:
                tensors[output] = unused_name(node.name, taken)
    names: set[str] = set()
    for node in graph.node:
        node.name = unused_name(node.name, names)
        rename_tensors(node, tensors)


def _layer_name(node: Any) -> str:
    """The name of the layer: a convolution that swallowed its batch normalization would be named after the latter."""
    weights = node.input[1] if node.op_type == "Conv" else ""
    merged, _, _ = weights.rpartition("/merged_input")
    return _plain(merged or node.name, str(node.op_type))


def _plain(name: str, otherwise: str) -> str:
    return _READ.sub("", _COUNTER.sub("", name)) or otherwise


def _name_batch(graph: Any) -> None:
    for value in (*graph.input, *graph.output):
        batch = value.type.tensor_type.shape.dim[0]
        if batch.WhichOneof("value") != "dim_value":
            batch.dim_param = "N"
