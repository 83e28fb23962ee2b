"""What tf2onnx is helped with; each test also shows that tf2onnx itself still needs it, and fails when it does not."""

from __future__ import annotations

import copy
import os
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pytest

from edge_fm_export.compat import tf2onnx_patches
from edge_fm_export.compat.tensorflow_setup import quiet, require_tensorflow
from edge_fm_export.compat.tf2onnx_patches import operator_handlers, spread_scalars, without_graph_copies
from edge_fm_export.compat.versions import SupportedVersions
from edge_fm_runtime.errors import ConversionWarning

pytestmark = [pytest.mark.needs("tensorflow"), pytest.mark.needs("tf2onnx")]


@pytest.fixture(scope="module")
def graph_def() -> Any:
    """Two convolutions with `relu6(x + 3)` between them, and erfc(-x c) as Keras writes the exact GELU."""
    tf, _ = require_tensorflow("the tests")
    weights = np.random.default_rng(0).normal(size=(3, 3, 4, 4)).astype(np.float32)
    graph = tf.Graph()
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.float32, (None, 8, 8, 4), name="image")
        first = tf.nn.relu6(tf.nn.conv2d(image, weights, 1, "SAME") + 3.0)
        second = tf.nn.conv2d(first, weights[::-1].copy(), 1, "SAME")
        tf.identity(0.5 * second * tf.math.erfc(-second * float(np.sqrt(0.5))), name="out")
    return graph.as_graph_def()


def _convert(graph_def: Any, *, handlers: Any = None, within: AbstractContextManager[None] | None = None) -> Any:
    import tf2onnx

    with quiet(), within or nullcontext():
        model, _ = tf2onnx.convert.from_graph_def(
            graph_def, input_names=["image:0"], output_names=["out:0"], opset=17, custom_op_handlers=handlers
        )
    return model


def _operators(model: Any) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def test_erfc_becomes_an_operator_of_onnx(graph_def: Any) -> None:
    assert "Erfc" in _operators(_convert(graph_def)), "operator_handlers can go: tf2onnx converts Erfc"
    operators = _operators(_convert(graph_def, handlers=operator_handlers()))
    assert "Erf" in operators and "Erfc" not in operators


def test_added_scalars_leave_fewer_transposes(graph_def: Any) -> None:
    plain = _operators(_convert(graph_def, handlers=operator_handlers()))
    helped = _operators(_convert(spread_scalars(graph_def), handlers=operator_handlers()))
    assert helped["Transpose"] < plain["Transpose"], "spread_scalars can go: tf2onnx takes a scalar"


def test_no_weights_are_copied(graph_def: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tf2onnx.graph import Graph, Node

    counts: Counter[str] = Counter()
    write, duplicate = Node.update_proto, copy.deepcopy

    def count_writes(node: Any, *arguments: Any, **options: Any) -> None:
        counts["constants written"] += node.is_const()
        write(node, *arguments, **options)

    def count_copies(value: Any, *arguments: Any) -> Any:
        counts["graphs copied"] += isinstance(value, Graph)
        return duplicate(value, *arguments)

    monkeypatch.setattr(Node, "update_proto", count_writes)
    monkeypatch.setattr(copy, "deepcopy", count_copies)
    graph_def, handlers = spread_scalars(graph_def), operator_handlers()
    plain = _convert(graph_def, handlers=handlers)
    assert counts["graphs copied"] > 10 and counts["constants written"] > 10, "without_graph_copies can go"
    counts.clear()
    helped = _convert(graph_def, handlers=handlers, within=without_graph_copies())
    assert not counts.total()
    assert Node.update_proto is count_writes and "TF2ONNX_CATCH_ERRORS" not in os.environ
    assert _operators(helped) == _operators(plain)
    assert sorted(t.raw_data for t in helped.graph.initializer) == sorted(t.raw_data for t in plain.graph.initializer)


def test_another_version_is_left_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    from tf2onnx.graph import Node

    monkeypatch.setattr(tf2onnx_patches, "VERSIONS", SupportedVersions("tf2onnx", "1.18", "1.19"))
    before = Node.update_proto
    with pytest.warns(ConversionWarning, match=r"pip install 'tf2onnx>=1\.18,<1\.19'"), without_graph_copies():
        assert Node.update_proto is before and "TF2ONNX_CATCH_ERRORS" not in os.environ
