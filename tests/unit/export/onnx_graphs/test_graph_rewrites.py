"""What the same network's ONNX files may not differ in."""

from __future__ import annotations

import numpy as np
import pytest

from edge_fm_export.onnx.graph_edits import to_bytes
from edge_fm_export.onnx.graph_rewrites import finalize

pytest.importorskip("onnx")


def network(shared: str, *, turned: bool) -> bytes:
    """Two layers that clip alike, by limits of the name `shared`, as they come from a conversion."""
    import onnx
    from onnx import helper, numpy_helper

    names = ("image", "stem/Relu6__4:0", "probabilities")
    limits = [f"{shared}_min__7:0", f"{shared}_max__8:0"]
    nodes = [
        helper.make_node("Clip", [names[0], *limits], [names[1]], name="stem/Relu6__4"),
        helper.make_node("Clip", [names[1], *limits], [names[2]], name="head/Relu6__5"),
    ]
    values = [numpy_helper.from_array(np.float32(v), name) for name, v in zip(limits, (0, 6), strict=True)]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", 3]) for name in (names[0], names[2])]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], values[::-1] if turned else values)
    return to_bytes(finalize(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)))


def test_of_which_layer_a_shared_constant_has_its_name_makes_no_difference() -> None:
    import onnx

    data = network("stem/Relu6", turned=False)
    assert data == network("head/Relu6", turned=True)
    graph = onnx.load_from_string(data).graph
    assert [c.name for c in graph.initializer] == ["stem/Relu6/input_1", "stem/Relu6/input_2"]
    assert [node.name for node in graph.node] == ["stem/Relu6", "head/Relu6"]
