"""Rounding of an ONNX model's weights by its layers' outputs: which inputs these are made of, and what is rounded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from test_corrections import network
from tiny_models import TINY_SHAPES, tiny_set

from edge_fm_export.context import BuildContext, QuantizeOptions, SourceModel
from edge_fm_export.onnx import int8_quantizer
from edge_fm_export.onnx.corrections.weight_rounding import OutputRounding, _integers, _layer_inputs, _layers
from edge_fm_export.onnx.int8_quantizer import quantize_file
from edge_fm_export.onnx.quantizable_nodes import GraphView
from edge_fm_export.quantization.cpu import integer_settings
from edge_fm_export.targets import Target, find_builder

RNG = np.random.default_rng(0)


def images(count: int, seed: int) -> Any:
    """Photos: neighbouring pixels are alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 2, 2, 3))
    noise = rng.integers(-20, 20, (count, 8, 8, 3))
    return np.clip(coarse.repeat(4, 1).repeat(4, 2) + noise, 0, 255).astype(np.uint8)


def weights_of(quantized: Any, name: str) -> tuple[Any, Any]:
    view = GraphView(quantized.graph)
    found = _integers(view, next(node for node in quantized.graph.node if node.name == name))
    assert found is not None
    return found[1], found[2]


@pytest.mark.parametrize("reduce_range", [False, True])
def test_layers_outputs_are_closer_on_images_that_were_not_seen(tmp_path: Path, reduce_range: bool) -> None:
    prepared = network()
    onnx.save(prepared, tmp_path / "float.onnx")
    settings = replace(integer_settings(), reduce_range=reduce_range)
    calibration, unseen = images(128, 1), images(400, 2)
    read = _layer_inputs(prepared, _layers(prepared), iter([unseen]), len(unseen), 0)
    rounding = OutputRounding(prepared, lambda: iter([calibration]), len(calibration), 0)
    found: dict[str, list[Any]] = {}
    errors: dict[str, list[float]] = {}
    for how, given in (("nearest", None), ("GPTQ", rounding), ("GPTQ again", rounding)):
        target = tmp_path / "int8.onnx"
        pixels = iter([calibration])
        made = quantize_file(tmp_path / "float.onnx", target, pixels, settings=settings, rounding=given, final=False)
        assert made == how.removesuffix(" again")
        for layer in _layers(prepared):
            integers, scales = weights_of(onnx.load(target), layer.node.name)
            assert np.abs(integers.astype(int)).max() <= (64 if reduce_range else 127)
            lost = layer.rows(layer.weights - integers * scales)
            inputs = read[layer.node.name]
            variance = ((lost @ inputs.covariances()) * lost).sum(axis=2)
            shift = (lost @ inputs.means()[..., None])[..., 0]
            found.setdefault(how, []).append(integers)
            errors.setdefault(how, []).append(float((variance + shift**2).mean()))
    for nearest, rounded in zip(errors["nearest"], errors["GPTQ"], strict=True):
        assert rounded <= nearest
    assert sum(errors["GPTQ"]) < 0.5 * sum(errors["nearest"])
    for one, other in zip(found["GPTQ"], found["GPTQ again"], strict=True):
        assert np.array_equal(one, other)


def test_nodes_in_float_keep_their_weights_and_are_rounded_when_they_are_not(tmp_path: Path) -> None:
    prepared = network()
    onnx.save(prepared, tmp_path / "float.onnx")
    calibration = images(64, 1)
    rounding = OutputRounding(prepared, lambda: iter([calibration]), len(calibration), 0)
    files = []
    for exclude in (["depthwise"], []):
        files.append(tmp_path / f"int8-{len(exclude)}.onnx")
        quantize_file(
            tmp_path / "float.onnx",
            files[-1],
            iter([calibration]),
            settings=integer_settings(),
            exclude=exclude,
            rounding=rounding,
            final=False,
        )
    kept = onnx.load(files[0])
    node = next(node for node in kept.graph.node if node.name == "depthwise")
    view = GraphView(kept.graph)
    assert _integers(view, node) is None
    exact = GraphView(prepared.graph).constants["depthwise/w"]
    assert np.array_equal(numpy_helper.to_array(view.constants[node.input[1]]), numpy_helper.to_array(exact))
    integers, scales = weights_of(onnx.load(files[1]), "depthwise")
    nearest = np.rint(numpy_helper.to_array(exact) / scales)
    assert 0 < np.abs(integers - nearest).max() <= 127


def test_an_export_says_how_its_weights_are_rounded(
    tiny_sources: dict[str, SourceModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For any CPU the first convolution has 7 bits; an even area, most of a photo, gives what it gave in float."""
    shape = TINY_SHAPES["colour"]
    context = BuildContext(tiny_sources["colour"], tmp_path, tiny_set(shape, 64, seed=3), tiny_set(shape, 200, seed=4))
    context = replace(context, quantize=QuantizeOptions(any_cpu=True))
    monkeypatch.setattr(int8_quantizer, "finalize_int8", lambda *_: None)  # it renames what is looked up here
    built = find_builder(Target("onnx", "int8"))(context, tmp_path)
    assert built.quantization is not None and built.quantization["weight_rounding"] == "GPTQ"
    prepared = onnx.load(tmp_path / "int8-prepared.onnx")
    layer = next(layer for layer in _layers(prepared) if layer.node.op_type == "Conv")
    integers, scales = weights_of(onnx.load(tmp_path / built.payload), layer.node.name)
    assert np.abs(integers.astype(int)).max() <= 64
    steps = layer.weights / scales
    missed, nearest = (np.abs((found - steps).sum(axis=(1, 2, 3))).mean() for found in (integers, np.rint(steps)))
    assert missed <= nearest


@pytest.mark.parametrize(
    ("operator", "weights", "attributes"),
    [
        ("Conv", (8, 4, 3, 3), {"strides": [2, 2], "pads": [0, 1, 1, 2]}),
        ("Conv", (8, 4, 3, 3), {"dilations": [2, 2], "pads": [2, 2, 2, 2]}),
        ("Conv", (8, 4, 5, 1), {}),
        ("Conv", (12, 1, 3, 3), {"group": 4, "pads": [1, 1, 1, 1]}),
        ("Conv", (6, 2, 3, 3), {"group": 2, "strides": [1, 2]}),
        ("Gemm", (7, 6), {"transB": 1}),
        ("Gemm", (6, 7), {}),
        ("MatMul", (6, 7), {}),
    ],
)
def test_inputs_are_those_that_the_outputs_are_computed_of(
    operator: str, weights: tuple[int, ...], attributes: dict[str, Any]
) -> None:
    values = RNG.normal(size=weights).astype(np.float32)
    shape = (3, 4, 9, 6) if operator != "Gemm" else (5, 6)
    activation = RNG.normal(size=shape).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", "w"], ["y"], name="layer", **attributes)],
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": activation})[0]
    (layer,) = _layers(model)
    inputs = layer.inputs(activation, 10**9, np.random.default_rng(0))
    outputs = np.einsum("gon,gsn->gos", layer.rows(values), inputs)  # [G,O,samples]
    if operator == "Conv":
        flat = outputs.reshape(-1, outputs.shape[2])
        assert np.allclose(flat, expected.transpose(1, 0, 2, 3).reshape(len(flat), -1), atol=1e-5)
    else:
        assert np.allclose(outputs[0].T.reshape(expected.shape), expected, atol=1e-5)
    assert np.array_equal(layer.restored(layer.rows(values)), values)
