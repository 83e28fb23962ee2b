"""Select the nodes of an ONNX graph that gain from int8."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

COMPUTE = ("Conv", "ConvTranspose", "Gemm", "MatMul")
FOLLOW = ("Relu", "Clip", "LeakyRelu")
"""Fused into the layer before them, as long as that one is quantized too."""
_PASS = (
    "MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Reshape", "Flatten", "Squeeze", "Unsqueeze",
    "Transpose", "Pad", "Resize",
)  # fmt: skip
SCALING = (
    "Cast", "Mul", "Add", "Sub", "Div", "Transpose", "Reshape", "Unsqueeze", "Squeeze", "Gather", "Split", "Concat",
    "Slice",
)  # fmt: skip
_SHAPE_ONLY = ("Transpose", "Reshape", "Unsqueeze", "Squeeze")
_GATES = ("Sigmoid", "HardSigmoid", "HardSwish")


@dataclass(frozen=True)
class PixelPrologue:
    """What only multiplies the pixels before the first layer: its result is the pixels at `scale`, zero point 0.

    Attributes:
        tensor: what the first quantized layer reads.
        reader: the name of that layer.
        scale: real value of one grey level.
        shape_nodes: names of the Transpose or Reshape nodes in between, first to last.
    """

    tensor: str
    reader: str
    scale: float
    shape_nodes: tuple[str, ...]


class GraphView:
    """Lookups that onnx's flat node list does not give."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.constants = {c.name: c for c in graph.initializer}
        self.maker = {o: node for node in graph.node for o in node.output}
        self.readers: dict[str, list[Any]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)

    def data(self, node: Any) -> list[str]:
        """The inputs of `node` that are no constants."""
        return [i for i in node.input if i and i not in self.constants]


def scaling_nodes(graph: Any, operators: Collection[str] = SCALING) -> frozenset[str]:
    """Names of the nodes of these types that lead from the pixels to the first layer: rounding each would add up."""
    view = GraphView(graph)
    reached = {i.name for i in graph.input}
    names = set()
    for node in graph.node:
        data = view.data(node)
        if node.op_type in operators and data and all(i in reached for i in data):
            names.add(node.name)
            reached.update(node.output)
    return frozenset(names)


def quantizable(graph: Any) -> tuple[str, ...]:
    """Names of the nodes to quantize: layers with weights, and what passes their bytes on without new arithmetic.

    Softmax and normalizations stay in float: they cost little time and much accuracy. So do additions and products
    with constants (parts of a decomposed normalization), and whatever has no quantized neighbour.
    """
    view = GraphView(graph)
    prologue = scaling_nodes(graph)
    selected: dict[str, None] = {}
    integer: set[str] = set()
    for node in graph.node:
        if node.name in prologue:
            continue
        data = view.data(node)
        if _is_quantizable(view, node, data, integer):
            selected[node.name] = None
            integer.update(node.output)
    return tuple(selected)


def _is_quantizable(view: GraphView, node: Any, data: list[str], integer: set[str]) -> bool:
    if node.op_type in COMPUTE:
        return len(node.input) > 1 and node.input[1] in view.constants
    if node.op_type in (*FOLLOW, *_PASS):
        return bool(data) and all(i in integer for i in data)
    if node.op_type == "Add":
        return len(data) == 2 and all(i in integer for i in data)
    if node.op_type == "Mul":
        # Squeeze-and-excitation, and x * sigmoid(x): bytes in, bytes out.
        gated = any(view.maker[i].op_type in _GATES for i in data if i in view.maker)
        return len(data) == 2 and gated and any(i in integer for i in data)
    if node.op_type == "Sigmoid":
        return bool(data) and all(i in integer for i in data)
    return False


def pixel_prologue(graph: Any) -> PixelPrologue | None:
    """Find `image -> Cast -> Mul(scalar) -> reshaping -> layer`; None where more happens to the pixels."""
    view = GraphView(graph)
    tensor = graph.input[0].name
    scale, shapes, cast = 1.0, [], False
    while True:
        readers = view.readers.get(tensor, [])
        if len(readers) != 1:
            return None
        node = readers[0]
        if node.op_type == "Cast" and not cast:
            cast = True
        elif node.op_type == "Mul" and cast and (value := _scalar(view, node)) is not None and value > 0:
            scale *= value
        elif node.op_type in _SHAPE_ONLY and cast:
            shapes.append(node.name)
        elif node.op_type in COMPUTE and cast:
            return PixelPrologue(tensor, node.name, scale, tuple(shapes))
        else:
            return None
        tensor = node.output[0]


def touched_tensors(graph: Any) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield each quantizable node with the activations it reads and writes, its activation function's included."""
    view = GraphView(graph)
    for name in quantizable(graph):
        node = next(n for n in graph.node if n.name == name)
        tensors = {*view.data(node), *node.output}
        for follower in (r for o in node.output for r in view.readers.get(o, []) if r.op_type in FOLLOW):
            tensors.update(follower.output)
        yield name, frozenset(tensors)


def _scalar(view: GraphView, node: Any) -> float | None:
    from onnx import numpy_helper

    constants = [i for i in node.input if i in view.constants]
    if len(constants) != 1:
        return None
    values = np.asarray(numpy_helper.to_array(view.constants[constants[0]])).reshape(-1)
    return float(values[0]) if values.size and (values == values[0]).all() else None
