"""Graphs inside an ONNX graph: the bodies of loops and the branches of conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def subgraphs(node: Any) -> Iterator[Any]:
    """The graphs (onnx.GraphProto) within a node: of If, Loop, Scan."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def captured(node: Any) -> list[str]:
    """Names that a node's subgraphs may take from outside, in order; their own are among them."""
    names: list[str] = []
    for graph in subgraphs(node):
        for inner in graph.node:
            names += [*inner.input, *captured(inner)]
    return names


def rename_tensors(node: Any, tensors: Mapping[str, str]) -> None:
    """Give a node's inputs and outputs other names, in its subgraphs too."""
    for names in (node.input, node.output):
        changed = [tensors.get(name, name) for name in names]
        del names[:]
        names.extend(changed)
    for graph in subgraphs(node):
        for inner in graph.node:
            rename_tensors(inner, tensors)


def name_loop_outputs(graph: Any) -> None:
    """Give what a loop hands on unchanged, such as weights, a name of its own at the loop body's end, in place.

    ONNX lets a body return one of its inputs as it is; OpenVINO (2026.4) then counts that input twice and refuses the
    loop.
    """
    import onnx

    for node in graph.node:
        for body in subgraphs(node):
            name_loop_outputs(body)
            if node.op_type != "Loop":
                continue
            taken = {value.name for value in body.input}
            for output in body.output:
                if output.name in taken:
                    source, output.name = output.name, f"{output.name}/unchanged"
                    body.node.append(onnx.helper.make_node("Identity", [source], [output.name]))
