"""Quantization of a float `.tflite` file by ai-edge-quantizer: ranges, scales, what stays in float, fast biases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import tiny_images

pytestmark = [pytest.mark.slow, pytest.mark.needs("tensorflow", "ai_edge_litert", "ai_edge_quantizer")]

SHAPE = (12, 10, 3)
PIXELS, _ = tiny_images(SHAPE, 40, seed=5)


@pytest.fixture(scope="module")
def float_model(tiny_sources: Any, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The `.tflite` file of the tiny colour model, in float."""
    from edge_fm_export.context import BuildContext
    from edge_fm_export.litert.converter_process import convert

    return convert(BuildContext(tiny_sources["colour"], tmp_path_factory.mktemp("float")), "fp32")


def quantized(model: bytes, bits: Any) -> bytes:
    """The model with activations of `bits`, calibrated on `PIXELS`."""
    from edge_fm_export.litert.static_quantizer import activation_ranges, quantize_static
    from edge_fm_export.quantization.calibration import batches

    ranges = activation_ranges(model, batches(PIXELS, static=None, size=1), count=len(PIXELS))
    return quantize_static(model, ranges, activation_bits=bits)


def predictions(model: bytes) -> Any:
    """Of `PIXELS`."""
    from edge_fm_export.litert.runner import predictor

    return predictor(model)(PIXELS)


def tensor_types(model: bytes) -> set[str]:
    """Names of the types of all tensors."""
    from ai_edge_litert import schema_py_generated as schema

    from edge_fm_export.litert.model_file import read_model

    names = {number: name for name, number in vars(schema.TensorType).items() if isinstance(number, int)}
    return {names[tensor.type] for tensor in read_model(model).subgraphs[0].tensors}


def test_ranges_are_those_of_all_images_whatever_the_batch(float_model: bytes) -> None:
    from edge_fm_export.litert.static_quantizer import activation_ranges
    from edge_fm_export.quantization.calibration import batches

    by_one, by_seven = (
        activation_ranges(float_model, batches(PIXELS, static=None, size=size), count=len(PIXELS)) for size in (1, 7)
    )
    assert by_one.keys() == by_seven.keys()
    for name, found in by_one.items():
        for side in ("min", "max"):
            assert found[side].size == 1
            np.testing.assert_allclose(found[side], by_seven[name][side], rtol=1e-5, atol=1e-5)
    pixels = next(found for name, found in by_one.items() if name.endswith("Cast"))
    assert (pixels["min"].item(), pixels["max"].item()) == (PIXELS.min(), PIXELS.max())


@pytest.mark.parametrize("bits", [8, 16])
def test_pixels_in_and_probabilities_out_stay_as_they_are(float_model: bytes, bits: int) -> None:
    from ai_edge_litert.interpreter import Interpreter

    model = quantized(float_model, bits)
    runner = Interpreter(model_content=model)
    (given,), (result,) = runner.get_input_details(), runner.get_output_details()
    assert (given["dtype"], result["dtype"]) == (np.uint8, np.float32)
    assert {"INT8", f"INT{bits}"} <= tensor_types(model)
    assert len(model) < len(float_model)
    before = predictions(float_model)
    assert np.abs(predictions(model) - before).max() < {8: 0.1, 16: 0.02}[bits]


def test_16_bits_come_closer_than_8(float_model: bytes) -> None:
    before = predictions(float_model)
    eight, sixteen = (np.abs(predictions(quantized(float_model, bits)) - before).mean() for bits in (8, 16))
    assert sixteen < eight


def test_shapes_are_read_of_integers(float_model: bytes) -> None:
    from edge_fm_export.litert.model_file import consumers, operator_name, read_model

    model = read_model(quantized(float_model, 16))
    graph = model.subgraphs[0]
    floats = [o for o in graph.operators if operator_name(model, o) == "DEQUANTIZE"]
    assert [int(o.outputs[0]) for o in floats] == [int(i) for i in graph.outputs]
    assert all(
        consumers(graph, int(o.outputs[0])) for o in graph.operators if int(o.outputs[0]) not in list(graph.outputs)
    )


def test_ai_edge_quantizer_still_leaves_the_scales_of_additions_to_powers_of_two(
    float_model: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as this is so, `_allow_any_scale` is needed."""
    from edge_fm_export.litert import static_quantizer
    from edge_fm_export.litert.model_file import operator_name, read_model

    def flags() -> set[bool]:
        model = read_model(quantized(float_model, 16))
        operators = [o for o in model.subgraphs[0].operators if operator_name(model, o) == "ADD"]
        return {bool(operator.builtinOptions.potScaleInt16) for operator in operators}

    assert flags() == {False}
    monkeypatch.setattr(static_quantizer, "_allow_any_scale", lambda model: None)
    assert flags() == {True}


def test_biases_of_32_bits_compute_what_those_of_64_do(float_model: bytes) -> None:
    from edge_fm_export.litert.fast_biases import shorten_biases

    model = quantized(float_model, 16)
    shorter = shorten_biases(model)
    assert "INT64" in tensor_types(model) and "INT64" not in tensor_types(shorter)
    assert np.abs(predictions(shorter) - predictions(model)).max() < 2e-3
    assert shorten_biases(shorter) == shorter


def test_a_bias_stays_at_64_bits_where_the_sum_could_overflow(float_model: bytes) -> None:
    from edge_fm_export.litert.fast_biases import shorten_biases
    from edge_fm_export.litert.model_file import read_model, write_model

    content = quantized(float_model, 16)
    model = read_model(content)
    graph = model.subgraphs[0]
    layer = next(o for o in graph.operators if len(o.inputs) == 3 and o.inputs[2] >= 0)
    tensor = graph.tensors[layer.inputs[2]]
    large = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.int64).copy()
    large[0] = 2**31 - 1
    model.buffers[tensor.buffer].data = np.frombuffer(large.tobytes(), np.uint8)
    kept = read_model(shorten_biases(write_model(model))).subgraphs[0].tensors[layer.inputs[2]]
    assert kept.type == tensor.type


def test_bias_correction_brings_the_means_of_the_layers_back(float_model: bytes) -> None:
    from edge_fm_export.litert.bias_correction import correct_biases

    before = predictions(float_model)
    for bits in (8, 16):
        plain = quantized(float_model, bits)
        corrected = correct_biases(plain, float_model, iter([PIXELS]))
        assert corrected != plain and len(corrected) == len(plain)
        assert np.abs(predictions(corrected) - before).mean() < 2 * np.abs(predictions(plain) - before).mean()


def test_biases_of_64_bits_are_parameters_too(float_model: bytes) -> None:
    from edge_fm_export.litert.fast_biases import shorten_biases
    from edge_fm_export.litert.litert_format import count_nodes

    by_8, by_16 = quantized(float_model, 8), quantized(float_model, 16)
    assert "INT64" in tensor_types(by_16)
    assert count_nodes(by_16) == count_nodes(shorten_biases(by_16))
    assert count_nodes(by_16)["parameters"] == count_nodes(by_8)["parameters"]


def test_nothing_is_printed(float_model: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    quantized(float_model, 8)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("bits", [8, 16])
def test_the_bias_of_a_channel_with_tiny_weights_is_kept(bits: int, tiny_runs: Any, tmp_path: Path) -> None:
    from edge_fm_export.compat.tensorflow_setup import require_tensorflow
    from edge_fm_export.context import BuildContext
    from edge_fm_export.litert.converter_process import convert
    from edge_fm_export.sources import load_source

    _, keras = require_tensorflow("the tests")
    model = keras.models.load_model(tiny_runs["colour"].file)
    gamma, beta, *moving = model.get_layer("stem_bn").get_weights()
    gamma[0], beta[0] = 1e-13, 2.0
    model.get_layer("stem_bn").set_weights([gamma, beta, *moving])
    model.save(tmp_path / "model.keras")
    original = convert(BuildContext(load_source(tmp_path / "model.keras"), tmp_path), "fp32")
    before = predictions(original)
    assert np.abs(predictions(quantized(original, bits)) - before).max() < {8: 0.1, 16: 0.02}[bits]


@pytest.mark.parametrize("bits", [8, 16])
def test_the_biases_of_a_layer_that_is_called_twice_are_kept(bits: int, tmp_path: Path) -> None:
    from edge_fm_export.compat.tensorflow_setup import require_tensorflow
    from edge_fm_export.context import BuildContext
    from edge_fm_export.litert.converter_process import convert
    from edge_fm_export.sources import load_source

    _, keras = require_tensorflow("the tests")
    keras.utils.set_random_seed(3)
    image = keras.Input(SHAPE, dtype="uint8", name="image")
    shared = keras.layers.Conv2D(3, 3, padding="same", activation="relu", name="shared")
    once = shared(keras.layers.Rescaling(1 / 255.0)(image))
    twice = keras.layers.GlobalAveragePooling2D()(keras.layers.Concatenate()([once, shared(once)]))
    model = keras.Model(image, keras.layers.Dense(4, activation="softmax")(twice))
    kernel, bias = shared.get_weights()
    kernel[..., 0], bias[0] = 1e-13, 2.0
    shared.set_weights([kernel, bias])
    model.save(tmp_path / "model.keras")
    original = convert(BuildContext(load_source(tmp_path / "model.keras"), tmp_path), "fp32")
    before = predictions(original)
    assert np.abs(predictions(quantized(original, bits)) - before).max() < {8: 0.1, 16: 0.02}[bits]


def test_progress_bars_are_hidden(capfd: pytest.CaptureFixture[str]) -> None:
    from ai_edge_quantizer.utils import progress_utils

    from edge_fm_export.compat.ai_edge_quantizer_progress import progress_bars_hidden

    with progress_bars_hidden():
        progress_utils.ProgressBar(total_steps=200).close()
    assert capfd.readouterr() == ("", "")
    progress_utils.ProgressBar(total_steps=200).close()
    assert "200" in capfd.readouterr().err  # as long as this is drawn, the function is needed
