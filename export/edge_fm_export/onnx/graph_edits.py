"""Edits that several rewrites of ONNX graphs share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from edge_fm_export.onnx.subgraphs import captured


def replace_nodes(graph: Any, nodes: Iterable[Any]) -> None:
    """Put `nodes` in the place of the graph's own, which may be among them."""
    copies = [_copy(node) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def replace_constants(graph: Any, constants: Iterable[Any]) -> None:
    """Put `constants` in the place of the graph's own, which may be among them."""
    copies = [_copy(constant) for constant in constants]
    del graph.initializer[:]
    graph.initializer.extend(copies)


def prune(graph: Any) -> None:
    """Remove nodes and constants whose results nothing reads."""
    wanted = {o.name for o in graph.output}
    used = []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            used.append(node)
            wanted.update((*node.input, *captured(node)))
    replace_nodes(graph, reversed(used))
    replace_constants(graph, [c for c in graph.initializer if c.name in wanted])
    del graph.value_info[:]


def reset_header(model: Any) -> None:
    """Leave nothing in the model's header that depends on the tool that wrote it; keep the opsets that nodes use."""
    import onnx

    del model.metadata_props[:]
    model.producer_name, model.producer_version = "edge-fm", ""
    model.doc_string = model.graph.doc_string = ""
    model.graph.name = "classifier"
    used = {node.domain for node in model.graph.node} | {""}
    opsets = sorted((o.domain, o.version) for o in model.opset_import if o.domain in used)
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(*opset) for opset in opsets)


def to_bytes(model: Any) -> bytes:
    """Serialize `model`; the same graph gives the same bytes."""
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _copy(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
