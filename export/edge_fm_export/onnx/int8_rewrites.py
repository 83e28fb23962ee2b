"""Rewrite the graph that ONNX Runtime's quantizer leaves: bytes in, floats before the softmax, short names."""

from __future__ import annotations

from typing import Any

from edge_fm_export.onnx.graph_edits import prune, replace_constants
from edge_fm_export.onnx.quantizable_nodes import GraphView, PixelPrologue
from edge_fm_export.onnx.subgraphs import rename_tensors


def fold_prologue(graph: Any, prologue: PixelPrologue) -> None:
    """Let the first quantized layer read the pixels as they are: `QuantizeLinear(image * scale)` is `image`.

    Args:
        graph: of the QDQ model, its prologue quantized at exactly `prologue.scale` with zero point 0; changed in place.
        prologue: what `pixel_prologue` found before quantization.
    """
    view = GraphView(graph)
    readers = view.readers.get(prologue.tensor, [])
    if not readers or any(r.op_type != "QuantizeLinear" for r in readers):
        return
    source = graph.input[0].name
    by_name = {node.name: node for node in graph.node}
    for name in prologue.shape_nodes:
        node = by_name[name]
        node.input[0] = source
        source = node.output[0]
    produced = {o for r in readers for o in r.output}
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name in produced:
                node.input[index] = source
    prune(graph)


def unquantize_logits(graph: Any) -> None:
    """Let Softmax read the last layer's floats: 256 steps of logits would make ties of near decisions.

    So does a sigmoid for each label, where the graph ends in it.
    """
    view = GraphView(graph)
    returned = {output.name for output in graph.output}
    for node in graph.node:
        if node.op_type != "Softmax" and not (node.op_type == "Sigmoid" and returned & set(node.output)):
            continue
        dequantize = view.maker.get(node.input[0])
        if dequantize is None or dequantize.op_type != "DequantizeLinear":
            continue
        quantize = view.maker.get(dequantize.input[0])
        if quantize is None:
            continue
        layer = view.maker.get(quantize.input[0])
        if layer is not None and layer.op_type in ("Gemm", "MatMul", "Conv"):
            node.input[0] = quantize.input[0]
    prune(graph)


def assign_short_names(graph: Any) -> None:
    """Give tensors short names and drop the names of Q and DQ nodes: they made up a fifth of a small model.

    Nodes that compute keep their names. Equal constants (zero points) become one.
    """
    fixed = {v.name for v in (*graph.input, *graph.output)}
    tensors: dict[str, str] = {}
    seen: dict[bytes, str] = {}
    constants: list[Any] = []
    for constant in graph.initializer:
        name = constant.name
        constant.name = ""
        content = constant.SerializeToString(deterministic=True)
        if content in seen:
            tensors[name] = seen[content]
            continue
        constant.name = tensors[name] = seen[content] = f"c{len(constants)}"
        constants.append(constant)
    replace_constants(graph, constants)
    for index, node in enumerate(graph.node):
        for position, output in enumerate(node.output):
            tensors[output] = (
                output if output in fixed or not output else f"t{index}" + ("" if not position else f"_{position}")
            )
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            node.name = ""
        node.doc_string = ""
    for node in graph.node:
        rename_tensors(node, tensors)
