"""Loops of an ONNX graph as every engine reads them."""

from __future__ import annotations

from typing import Any


def name_loop_outputs(graph: Any) -> None:
    """Give what a loop hands on unchanged, such as weights, a name of its own at the loop body's end, in place.

    ONNX lets a body answer one of its inputs as it is; OpenVINO (2026.4) then counts that input twice and refuses the
    loop.
    """
    import onnx

    for node in graph.node:
        for attribute in node.attribute:
            for body in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
                name_loop_outputs(body)
                if node.op_type != "Loop":
                    continue
                taken = {value.name for value in body.input}
                for output in body.output:
                    if output.name in taken:
                        source, output.name = output.name, f"{output.name}/unchanged"
                        body.node.append(onnx.helper.make_node("Identity", [source], [output.name]))
