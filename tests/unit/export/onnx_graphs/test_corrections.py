"""Bias correction and equalization of a small network of depthwise layers, and what may not change with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_fm_export.onnx.corrections.bias_correction import add_zero_biases, correct_biases
from edge_fm_export.onnx.corrections.equalization import channel_maxima, equalize
from edge_fm_export.onnx.int8_quantizer import predictor, quantize_file
from edge_fm_export.quantization.cpu import integer_settings

IMAGES = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 3), dtype=np.uint8)


def images() -> Iterator[np.ndarray[Any, Any]]:
    yield IMAGES


def network(*, ceiling: float | None = 6.0, widths: np.ndarray[Any, Any] | None = None) -> Any:
    """Pixels -> 1x1 convolution -> depthwise -> 1x1 convolution -> classes, each with an activation function.

    `widths` stretch the depthwise layer's channels; the layer after it takes that back.
    """
    rng = np.random.default_rng(1)
    widths = np.ones(8) if widths is None else widths
    weights = {
        "expand/w": rng.normal(0, 1, (8, 3, 1, 1)),
        "expand/b": rng.normal(1, 0.5, 8),
        "depthwise/w": rng.normal(0, 0.5, (8, 1, 3, 3)) * widths.reshape(-1, 1, 1, 1),
        "depthwise/b": rng.normal(0.5, 0.2, 8) * widths,
        "project/w": rng.normal(0, 0.5, (4, 8, 1, 1)) / widths.reshape(1, -1, 1, 1),
        "project/b": rng.normal(0, 0.5, 4),
        "dense/w": rng.normal(0, 1, (4, 3)),
        "dense/b": rng.normal(0, 0.1, 3),
        "scale": np.array(1 / 255),
        "zero": np.array(0.0),
        "six": np.array(ceiling or 0.0),
    }

    def activation(number: int, source: str, result: str) -> Any:
        if ceiling is None:
            return helper.make_node("Relu", [source], [result], name=f"act{number}")
        return helper.make_node("Clip", [source, "zero", "six"], [result], name=f"act{number}")

    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], name="cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["scaled"], name="mul"),
        helper.make_node("Transpose", ["scaled"], ["x"], name="transpose", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["x", "expand/w", "expand/b"], ["y"], name="expand", kernel_shape=[1, 1]),
        activation(1, "y", "ya"),
        helper.make_node(
            "Conv",
            ["ya", "depthwise/w", "depthwise/b"],
            ["z"],
            name="depthwise",
            kernel_shape=[3, 3],
            pads=[1, 1, 1, 1],
            group=8,
        ),
        activation(2, "z", "za"),
        helper.make_node("Conv", ["za", "project/w", "project/b"], ["p"], name="project", kernel_shape=[1, 1]),
        helper.make_node("GlobalAveragePool", ["p"], ["pooled"], name="pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], name="flatten"),
        helper.make_node("Gemm", ["flat", "dense/w", "dense/b"], ["logits"], name="dense"),
        helper.make_node("Softmax", ["logits"], ["probabilities"], name="softmax", axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 8, 8, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def predict(model: Any, folder: Path) -> np.ndarray[Any, Any]:
    onnx.save(model, folder / "model.onnx")
    return predictor(folder / "model.onnx")(IMAGES)


def constant(model: Any, name: str) -> np.ndarray[Any, Any]:
    return next(numpy_helper.to_array(c) for c in model.graph.initializer if c.name == name)


def quantized(model: Any, folder: Path, *, corrected: bool) -> np.ndarray[Any, Any]:
    onnx.save(model, folder / "prepared.onnx")
    quantize_file(
        folder / "prepared.onnx",
        folder / "int8.onnx",
        images(),
        settings=integer_settings("x86_64", frozenset({"avx512_vnni"})),
        correction=images if corrected else None,
    )
    return predictor(folder / "int8.onnx")(IMAGES)


def test_bias_correction_brings_predictions_nearer(tmp_path: Path) -> None:
    model = network(widths=np.geomspace(0.02, 1, 8))
    float_ = predict(model, tmp_path)
    plain, corrected = (np.abs(quantized(model, tmp_path, corrected=c) - float_).mean() for c in (False, True))
    assert corrected < plain / 2


def test_every_layer_with_bytes_on_both_sides_is_corrected(tmp_path: Path) -> None:
    model = network()
    onnx.save(model, tmp_path / "prepared.onnx")
    settings = integer_settings("x86_64", frozenset({"avx512_vnni"}))
    quantize_file(tmp_path / "prepared.onnx", tmp_path / "q.onnx", images(), settings=settings, final=False)
    result = onnx.load(tmp_path / "q.onnx")
    assert correct_biases(result, model, images()) == 4
    once = result.SerializeToString()
    assert correct_biases(result, model, images()) == 4
    assert result.SerializeToString() == once  # what it took back is gone


def test_a_convolution_without_a_bias_gets_one_of_zeros(tmp_path: Path) -> None:
    model = network()
    before = predict(model, tmp_path)
    node = next(n for n in model.graph.node if n.name == "expand")
    bias = constant(model, "expand/b")
    del node.input[2]
    add_zero_biases(model)
    assert len(node.input) == 3 and not constant(model, node.input[2]).any()
    next(c for c in model.graph.initializer if c.name == node.input[2]).CopyFrom(
        numpy_helper.from_array(bias, node.input[2])
    )
    np.testing.assert_array_equal(predict(model, tmp_path), before)


@pytest.mark.parametrize("ceiling", [6.0, None])
def test_equalization_changes_ranges_and_nothing_else(ceiling: float | None, tmp_path: Path) -> None:
    model = network(ceiling=ceiling, widths=np.geomspace(1e-3, 1e-1, 8))
    before = predict(model, tmp_path)
    (narrow,) = channel_maxima(model, ["za"], images())
    float_error = np.abs(quantized(model, tmp_path, corrected=False) - before).mean()
    assert equalize(model, images) >= 1
    (even,) = channel_maxima(model, ["za"], images())
    np.testing.assert_allclose(predict(model, tmp_path), before, atol=1e-5)
    assert even.max() / even.min() < narrow.max() / narrow.min() / 2
    assert np.abs(quantized(model, tmp_path, corrected=False) - before).mean() < float_error


def test_a_channel_that_may_reach_the_ceiling_stays_as_it_is(tmp_path: Path) -> None:
    # On these images no channel is near 6; on others each may be.
    model = network(widths=np.full(8, 0.3))
    before = constant(model, "depthwise/w")
    # Every weight positive: with 6 from all nine neighbours the sum is above 6.
    positive = np.abs(before) + 0.2
    next(c for c in model.graph.initializer if c.name == "depthwise/w").CopyFrom(
        numpy_helper.from_array(positive, "depthwise/w")
    )
    equalize(model, images)
    # The layer before may have passed a factor into it; it has no factor of its own, so the next one is untouched.
    np.testing.assert_array_equal(constant(model, "project/w"), constant(network(widths=np.full(8, 0.3)), "project/w"))


def test_an_activation_that_is_read_twice_stays_as_it_is() -> None:
    model = network()
    model.graph.output.append(helper.make_tensor_value_info("ya", TensorProto.FLOAT, None))
    before = constant(model, "expand/w")
    equalize(model, images)
    np.testing.assert_array_equal(constant(model, "expand/w"), before)
