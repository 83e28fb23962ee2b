"""Rounding of an OpenVINO model's weights: which inputs a layer's outputs are made of, and what NNCF makes of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge_fm_export.context import BuildContext, EvaluationSet, QuantizeOptions
from edge_fm_export.openvino.openvino_int8 import LADDER, _Quantizer
from edge_fm_export.openvino.quantizer import compile_model, runner
from edge_fm_export.openvino.weight_rounding import RoundedWeights, _integers, _Layer
from edge_fm_export.quantization.layer_inputs import Inputs

ov = pytest.importorskip("openvino")
ops = pytest.importorskip("openvino.opset13")

RNG = np.random.default_rng(0)


def images(count: int, seed: int) -> Any:
    """Photos: neighbouring pixels are alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 4, 4, 3))
    return np.clip(coarse.repeat(4, 1).repeat(4, 2) + rng.integers(-20, 20, (count, 16, 16, 3)), 0, 255).astype(
        np.uint8
    )


def normal(*shape: int, scale: float = 1.0) -> Any:
    return ops.constant((RNG.normal(size=shape) * scale).astype(np.float32))


def network() -> Any:
    """Pixels -> convolution -> depthwise -> 1x1 convolution -> transposed convolution -> classes."""
    pixels = ops.parameter([-1, 16, 16, 3], np.uint8, name="image")
    scaled = ops.multiply(ops.convert(pixels, "f32"), np.float32(1 / 255))
    x = ops.transpose(scaled, ops.constant([0, 3, 1, 2]))
    x = ops.convolution(x, normal(16, 3, 3, 3, scale=0.4), [2, 2], [0, 0], [1, 1], [1, 1], name="stem")
    x = ops.clamp(ops.add(x, normal(1, 16, 1, 1)), 0.0, 6.0)
    x = ops.group_convolution(x, normal(16, 1, 1, 3, 3, scale=0.5), [1, 1], [1, 1], [1, 1], [1, 1], name="depthwise")
    x = ops.clamp(ops.add(x, normal(1, 16, 1, 1)), 0.0, 6.0)
    x = ops.relu(ops.convolution(x, normal(24, 16, 1, 1, scale=0.3), [1, 1], [0, 0], [0, 0], [1, 1], name="project"))
    x = ops.reduce_mean(x, ops.constant([2, 3]), keep_dims=False)
    x = ops.softmax(ops.matmul(x, normal(24, 5, scale=0.3), False, False, name="classes"), 1)
    return ov.Model([x], [pixels], "network")


def quantizer(model: Any, folder: Path, kept: tuple[str, ...] = ()) -> Any:
    ov.save_model(model, folder / "model.xml", compress_to_fp16=False)
    calibration = EvaluationSet("made", images(64, 1), None, "0" * 64)
    source: Any = SimpleNamespace(task=None, model=None, input=SimpleNamespace(shape=(16, 16, 3)))
    context = BuildContext(source, folder, calibration, quantize=QuantizeOptions())
    made = _Quantizer(context, folder / "model.xml")
    made.kept = kept
    return made


def by_name(model: Any) -> dict[str, Any]:
    return {operation.get_friendly_name(): operation for operation in model.get_ordered_ops()}


def divergence(quantized: Any, model: Any) -> float:
    unseen = images(200, 2)
    before, after = (runner(compile_model(one))(unseen) for one in (model, quantized))
    return float(np.abs(before - after).sum(axis=1).mean())


def test_nncf_finds_the_integers_and_outputs_are_closer(tmp_path: Path) -> None:
    model = network()
    made = quantizer(model, tmp_path)
    quantized = made.quantize(())
    operations = by_name(quantized)
    planned = made._rounded()
    assert set(planned.values) == {"stem", "depthwise", "project", "classes"} and planned.left == ()
    for name, values in planned.values.items():
        integers, scales = _integers(operations[name].input_value(1).get_node())
        # The largest of 7 bits is 63.5 steps, which NNCF may round either way.
        assert np.abs(values / scales - integers).max() < 0.501, name
    nearest = quantizer(model, tmp_path)
    nearest._weights = RoundedWeights({}, ())
    assert divergence(quantized, model) < 0.7 * divergence(nearest.quantize(()), model)
    assert made.record(()) == {"weight_rounding": "GPTQ", "bias_correction": "none", "fast_bias_correction": False}
    assert made.ladder() == LADDER


def test_layers_in_float_keep_their_weights(tmp_path: Path) -> None:
    model = network()
    made = quantizer(model, tmp_path, kept=("project",))
    operations, original = by_name(made.quantize((), kept=["stem"])), by_name(model)
    for name in ("project", "stem"):
        weights = operations[name].input_value(1).get_node()
        assert np.array_equal(weights.data, original[name].input_value(1).get_node().data)
    planned = made._rounded(["stem"]).values
    assert set(planned) == {"depthwise", "classes"}
    for name, values in planned.items():
        integers, scales = _integers(operations[name].input_value(1).get_node())
        assert np.abs(values / scales - integers).max() < 0.501, name


def test_covariances_hold_beside_large_means() -> None:
    rng = np.random.default_rng(7)
    values = (1000.0 + rng.normal(size=(2, 600, 3)) * [1.0, 0.1, 10.0]).astype(np.float32)
    inputs = Inputs()
    for start in (0, 100, 350):
        inputs.add(values[:, start : {0: 100, 100: 350, 350: 600}[start]])
    exact = values.astype(np.float64)
    assert inputs.samples == 600
    assert np.allclose(inputs.means(), exact.mean(axis=1), rtol=1e-6)
    for group in range(2):
        expected = np.cov(exact[group].T, bias=True)
        scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
        assert np.abs((inputs.covariances()[group] - expected) / scale).max() < 1e-3


def test_where_a_layer_is_left_nncf_corrects_biases_in_any_case(tmp_path: Path) -> None:
    pixels = ops.parameter([-1, 16, 16, 3], np.uint8, name="image")
    x = ops.transpose(ops.multiply(ops.convert(pixels, "f32"), np.float32(1 / 255)), ops.constant([0, 3, 1, 2]))
    x = ops.convolution(x, normal(8, 3, 3, 3), [2, 2], [0, 0], [1, 1], [1, 1], name="stem")
    x = ops.relu(ops.convolution_backprop_data(ops.relu(x), normal(8, 4, 2, 2), [2, 2], name="upsampling"))
    x = ops.softmax(ops.reduce_mean(x, ops.constant([2, 3]), keep_dims=False), 1)
    made = quantizer(ov.Model([x], [pixels], "network"), tmp_path)
    assert made._rounded().left == ("upsampling",)
    record = made.record(())
    assert (record["weight_rounding"], record["bias_correction"]) == ("nearest and GPTQ", "sequential")
    assert ("bias correction",) not in made.ladder()


@pytest.mark.parametrize(
    ("weights", "operation"),
    [
        ((8, 4, 3, 3), lambda x, w: ops.convolution(x, w, [2, 2], [0, 1], [1, 2], [1, 1])),
        ((8, 4, 3, 3), lambda x, w: ops.convolution(x, w, [1, 1], [2, 2], [2, 2], [2, 2])),
        ((8, 4, 5, 1), lambda x, w: ops.convolution(x, w, [1, 2], [0, 0], [0, 0], [1, 1])),
        ((4, 1, 1, 3, 3), lambda x, w: ops.group_convolution(x, w, [1, 1], [1, 1], [1, 1], [1, 1])),
        ((4, 3, 1, 3, 3), lambda x, w: ops.group_convolution(x, w, [2, 2], [1, 1], [0, 0], [1, 1])),
        ((2, 3, 2, 3, 3), lambda x, w: ops.group_convolution(x, w, [1, 1], [1, 1], [1, 1], [2, 1])),
        ((7, 6), lambda x, w: ops.matmul(x, w, False, True)),
        ((6, 7), lambda x, w: ops.matmul(x, w, False, False)),
    ],
)
def test_inputs_are_those_that_the_outputs_are_computed_of(weights: tuple[int, ...], operation: Any) -> None:
    values = RNG.normal(size=weights).astype(np.float32)
    activation = RNG.normal(size=(3, 4, 9, 6)).astype(np.float32)
    source = ops.parameter(activation.shape, np.float32)
    made = operation(source, ops.constant(values))
    expected = compile_model(ov.Model([made], [source], "layer"))([activation])[0]
    layer = _Layer(made, values)
    inputs = layer.inputs(activation, 10**9, np.random.default_rng(0))
    outputs = np.einsum("gon,gsn->gos", layer.rows(values), inputs)  # [G,O,samples]
    if len(weights) == 2:
        assert np.allclose(outputs[0].T.reshape(expected.shape), expected, atol=1e-5)
    else:
        flat = outputs.reshape(-1, outputs.shape[2])
        assert np.allclose(flat, expected.transpose(1, 0, 2, 3).reshape(len(flat), -1), atol=1e-5)
    assert np.array_equal(layer.restored(layer.rows(values)), values)
    assert layer.inputs(activation, 5, np.random.default_rng(0)).shape == (inputs.shape[0], 5, inputs.shape[2])
