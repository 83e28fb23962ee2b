"""Layers that tf2onnx alone converts badly or not at all: the graph holds no leftovers, and predicts like Keras."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_fm_export.compat.tensorflow_setup import require_tensorflow
from edge_fm_export.context import BuildContext, SourceModel
from edge_fm_export.graph import count_macs
from edge_fm_export.onnx.onnx_format import fp32_model
from edge_fm_runtime.artifacts.metadata import InputSpec, PhotoSpec
from edge_fm_runtime.errors import ConversionWarning

Body = Callable[[Any, Any], Any]


def hard_swish(layers: Any, x: Any) -> Any:
    for name in ("a", "b"):
        x = layers.Conv2D(8, 3, padding="same", use_bias=False, name=name)(x)
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
        x = layers.Activation("hard_swish", name=f"{name}_swish")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    gate = layers.Activation("hard_sigmoid", name="gate")(layers.Conv2D(8, 1, name="excite")(gate))
    return layers.Multiply(name="scale_by_gate")([x, gate])


def gelu(layers: Any, x: Any) -> Any:
    return layers.Conv2D(8, 3, activation="gelu", name="conv")(x)


def grouped(layers: Any, x: Any) -> Any:
    x = layers.Conv2D(8, 3, padding="same", name="first")(x)
    return layers.Conv2D(8, 3, groups=4, padding="same", name="grouped")(x)


def shared(layers: Any, x: Any) -> Any:
    conv = layers.Conv2D(4, 3, padding="same", name="shared")
    left, right = conv(x), conv(layers.MaxPooling2D(3, strides=1, padding="same", name="pool")(x))
    return layers.Concatenate(name="join")([left, right])


CASES: dict[str, tuple[Body, dict[str, int]]] = {
    # A ReLU6 is a Clip; the one Transpose brings the pixels into channels-first order.
    "hard_swish": (hard_swish, {"Transpose": 1, "BatchNormalization": 0, "Conv": 3, "Cast": 1}),
    # In the shape that ONNX Runtime and OpenVINO know and fuse.
    "gelu": (gelu, {"Erf": 1, "Div": 1, "Neg": 0}),
    "grouped": (grouped, {"Transpose": 1, "Conv": 2}),
    "shared": (shared, {"Transpose": 1, "Conv": 2}),
}
MACS = {
    "hard_swish": 12 * 10 * (8 * 27 + 8 * 72) + 8 * 8 + 8 * 4,
    "gelu": 10 * 8 * 8 * 27 + 8 * 4,
    "grouped": 12 * 10 * (8 * 27 + 8 * 18) + 8 * 4,
    "shared": 2 * 12 * 10 * 4 * 27 + 8 * 4,
}
"""Outputs of each layer times the products for one of them, by hand."""


def small_model(body: Body) -> Any:
    keras = require_tensorflow("the tests")[1]
    keras.utils.set_random_seed(3)
    image = keras.Input((12, 10, 3), dtype="uint8", name="image")
    x = body(keras.layers, keras.layers.Rescaling(1 / 255, name="scale")(image))
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    output = keras.layers.Dense(4, activation="softmax", name="probabilities")(x)
    return keras.Model(image, output, name="net")


def source_of(model: Any) -> SourceModel:
    return SourceModel("m", model, InputSpec(12, 10, 3), tuple("abcd"), PhotoSpec(), "0" * 64)


@pytest.mark.parametrize("name", CASES)
def test_the_graph_is_clean_and_right(name: str, tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    body, expected = CASES[name]
    model = small_model(body)
    file = fp32_model(BuildContext(source_of(model), tmp_path))

    operators = Counter(node.op_type for node in onnx.load(file).graph.node)
    assert {kind: operators[kind] for kind in expected} == expected
    images = np.random.default_rng(0).integers(0, 256, (33, 12, 10, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    predictions = session.run(["probabilities"], {"image": images})[0]
    np.testing.assert_allclose(predictions, np.asarray(model(images, training=False)), atol=1e-6)
    assert count_macs(model) == MACS[name]


def test_an_optimizer_that_fails_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnx
    from tf2onnx import optimizer
    from tf2onnx.graph import Node

    failed = []

    def fail(self: Any, graph: Any) -> None:
        failed.append(graph)
        raise KeyError("no such node")

    source = source_of(small_model(shared))
    environment = dict(os.environ)
    (tmp_path / "whole").mkdir()
    whole = onnx.load(fp32_model(BuildContext(source, tmp_path / "whole")))
    monkeypatch.setattr(optimizer.IdentityOptimizer, "_optimize", fail)
    write = Node.update_proto
    with pytest.warns(ConversionWarning, match="no such node"):
        without = onnx.load(fp32_model(BuildContext(source, tmp_path)))
    assert len(failed) > 1
    assert Counter(n.op_type for n in without.graph.node) == Counter(n.op_type for n in whole.graph.node)
    assert dict(os.environ) == environment
    assert Node.update_proto is write
