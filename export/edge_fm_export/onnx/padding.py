"""Keep zeros that a network pads with before it takes maxima.

A `MaxPool` ignores its own padding, as if it were minus infinity; zeros from a `Pad` before it are values. ONNX Runtime
folds such a `Pad` into the `MaxPool` all the same (its "Pad_Fusion", seen with 1.31.1), which changes the predictions
wherever all of a border's real values are negative: every ResNet V2 of keras.applications.
"""

from __future__ import annotations

from typing import Any

from edge_fm_export.onnx.graph_edits import replace_nodes

_NEVER_NEGATIVE = {"Relu", "Sigmoid", "Softmax", "Softplus"}


def keep_zero_padding(model: Any) -> Any:
    """Put a `Max` of one input, which changes nothing, between each such `Pad` and its `MaxPool`.

    Nothing is done after a function that is never negative: there the two are the same.

    Args:
        model: an onnx.ModelProto, changed in place.

    Returns:
        `model`.
    """
    import onnx

    graph = model.graph
    maker = {output: node for node in graph.node for output in node.output}
    nodes = []
    for node in graph.node:
        pad = maker.get(node.input[0]) if node.op_type == "MaxPool" else None
        if pad is not None and pad.op_type == "Pad" and _may_be_negative(maker.get(pad.input[0])):
            kept = f"{pad.output[0]}/kept"
            nodes.append(onnx.helper.make_node("Max", [pad.output[0]], [kept], name=f"{pad.name}/kept"))
            node.input[0] = kept
        nodes.append(node)
    if len(nodes) > len(graph.node):
        replace_nodes(graph, nodes)
    return model


def _may_be_negative(node: Any) -> bool:
    return node is None or node.op_type not in _NEVER_NEGATIVE
