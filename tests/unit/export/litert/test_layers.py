"""Layers of an int8 `.tflite` file: found in the float one whatever quantized it, simulated, and left in float."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge_fm_export.context import BuildContext, EvaluationSet, SourceModel
from edge_fm_export.litert.converter_process import convert
from edge_fm_export.litert.input_scaling import fold_input_scaling
from edge_fm_export.litert.layers.float_layers import leave_in_float
from edge_fm_export.litert.layers.simulation import LiteRTSimulation
from edge_fm_export.litert.layers.twins import ArrangedOtherwiseError, find_twins
from edge_fm_export.litert.model_file import operator_name, read_model, write_model
from edge_fm_export.litert.runner import predictor
from edge_fm_export.quantization.calibration import batches
from edge_fm_export.quantization.explanation.layer_names import LayerNames
from edge_fm_export.quantization.selection import NothingToQuantizeError
from edge_fm_export.quantization.steering import SteeringImages
from edge_fm_runtime.artifacts.metadata import InputSpec, PhotoSpec

pytestmark = pytest.mark.needs("tensorflow", "ai_edge_litert")

SHAPE, CLASSES = (12, 12, 3), 3
STEP = 1 / 256
"""Of int8 probabilities."""


@pytest.fixture(scope="module")
def source() -> SourceModel:
    """Fused convolutions, branches, layers that hand values on, and names that look like those of calls."""
    import keras

    keras.utils.set_random_seed(2)
    layers = keras.layers
    image = keras.Input(SHAPE, dtype="uint8", name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv")(x)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.MaxPooling2D(name="pool")(layers.ReLU(6.0, name="relu")(x))
    deep = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="conv_1")(x)
    deep = layers.Activation("hard_swish", name="swish")(layers.BatchNormalization(name="bn_1")(deep))
    flat = layers.Conv2D(8, 1, activation="relu", name="conv_2")(x)
    gate = layers.Conv2D(8, 1, activation="sigmoid", name="gate")(x)
    x = layers.Concatenate(name="joined")([deep, layers.Multiply(name="gated")([flat, gate])])
    x = layers.Dense(8, activation="relu", name="dense")(layers.Flatten(name="flat")(x))
    output = layers.Dense(CLASSES, activation="softmax", name="predictions")(x)
    model = keras.Model(image, output, name="net")
    labels = tuple(map(str, range(CLASSES)))
    return SourceModel("net", model, InputSpec(*SHAPE), labels, PhotoSpec(mode="stretch"), "0" * 64)


@pytest.fixture(scope="module")
def images() -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (16, *SHAPE)).astype(np.uint8)


@pytest.fixture(scope="module")
def files(
    source: SourceModel, images: npt.NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """The float file, and int8 by TensorFlow's converter as it is and with its scaling of pixels folded."""
    scratch: Path = tmp_path_factory.mktemp("scratch")
    context = BuildContext(source, scratch, EvaluationSet("calibration", images, None, "1" * 64))
    plain = convert(context, "int8")
    return {"float": convert(context, "fp32"), "converter": plain, "folded": fold_input_scaling(plain)}


def _quantized(files: dict[str, bytes], name: str, images: npt.NDArray[np.uint8]) -> bytes:
    if name != "ai-edge-quantizer":
        return files[name]
    from edge_fm_export.litert.static_quantizer import activation_ranges, quantize_static

    ranges = activation_ranges(files["float"], batches(images, static=None, size=1), count=len(images))
    return quantize_static(files["float"], ranges, activation_bits=8)


def _kinds(model: bytes) -> list[str]:
    content = read_model(model)
    return [operator_name(content, operator) for operator in content.subgraphs[0].operators]


QUANTIZERS = ["converter", "folded", pytest.param("ai-edge-quantizer", marks=pytest.mark.needs("ai_edge_quantizer"))]


@pytest.mark.parametrize("quantizer", QUANTIZERS)
def test_layers_are_those_of_keras_and_each_can_stay_in_float(
    quantizer: str, source: SourceModel, files: dict[str, bytes], images: npt.NDArray[np.uint8]
) -> None:
    quantized, floats = _quantized(files, quantizer, images), files["float"]
    simulation = LiteRTSimulation(floats, quantized, LayerNames(source.model), None)
    names = [layer.name for layer in simulation.layers if layer.name != "pixels"]
    own = ["conv", "conv_1", "swish", "conv_2", "gate", "gated", "dense", "predictions"]
    assert sorted(set(names) - {"joined"}) == sorted(own)  # it rounds only where its inputs have other ranges
    operators = {layer.name: layer.operators for layer in simulation.layers}
    assert operators["conv"] == ("CONV_2D",) and operators["predictions"] == ("FULLY_CONNECTED", "SOFTMAX")
    reference, int8 = predictor(floats)(images), predictor(quantized)(images)
    for name in names:
        kept = leave_in_float(quantized, floats, simulation.operators_in_float([name]))
        predictions = predictor(kept)(images[:5])
        assert np.abs(predictions - reference[:5]).max() <= np.abs(int8 - reference).max() + 2 * STEP, name
    ranges = simulation.channel_ranges(SteeringImages(images, None))
    assert {name: len(low) for name, (low, _) in ranges.items()}.items() >= {"conv": 8, "dense": 8}.items()
    assert float(ranges["conv"][0].min()) >= 0.0 and float(ranges["conv"][1].max()) <= 6.0


def test_a_simulated_layer_computes_what_that_layer_alone_at_int8_does(
    source: SourceModel, files: dict[str, bytes], images: npt.NDArray[np.uint8]
) -> None:
    quantized, floats = files["folded"], files["float"]
    simulation = LiteRTSimulation(floats, quantized, LayerNames(source.model), None)
    twins = find_twins(read_model(quantized), read_model(floats))
    first = _kinds(quantized).index("CONV_2D")  # its input, the pixels, loses nothing
    alone = leave_in_float(quantized, floats, set(twins.operators) - {first})
    assert "CONV_2D" in _kinds(alone) and _kinds(alone).count("DEQUANTIZE") == 1
    simulated = simulation.predictor("conv")(images)
    assert np.abs(simulated - predictor(alone)(images)).max() < 1e-3
    assert np.abs(simulated - predictor(floats)(images)).max() > 1e-5
    weights = simulation.predictor("conv", activations=False)(images)
    assert np.abs(weights - simulated).max() > 0


def test_the_first_layer_in_float_reads_exact_pixels_and_a_pool_goes_with_it(
    source: SourceModel, files: dict[str, bytes], images: npt.NDArray[np.uint8]
) -> None:
    quantized, floats = files["folded"], files["float"]
    simulation = LiteRTSimulation(floats, quantized, LayerNames(source.model), None)
    kept = leave_in_float(quantized, floats, simulation.operators_in_float(["conv"]))
    kinds = _kinds(kept)
    # The scaling, the layer, the pool that hands its range on, and what reads that.
    assert kinds[:3] == ["CAST", "MUL", "ADD"] and "QUANTIZE" not in kinds[: kinds.index("MAX_POOL_2D") + 1]
    with pytest.raises(NothingToQuantizeError):
        leave_in_float(quantized, floats, simulation.operators_in_float(["conv", "dense"]))
    again = LiteRTSimulation(floats, kept, LayerNames(source.model), None)
    assert "conv" not in {layer.name for layer in again.layers}
    once = leave_in_float(quantized, floats, simulation.operators_in_float(["conv", "swish"]))
    twice = leave_in_float(kept, floats, again.operators_in_float(["swish"]))
    assert sorted(_kinds(once)) == sorted(_kinds(twice))
    assert np.array_equal(predictor(once)(images), predictor(twice)(images))


def test_names_of_inputs_and_outputs_stay(
    source: SourceModel, files: dict[str, bytes], images: npt.NDArray[np.uint8]
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    quantized, floats = files["folded"], files["float"]
    simulation = LiteRTSimulation(floats, quantized, LayerNames(source.model), None)
    kept = leave_in_float(quantized, floats, simulation.operators_in_float(["predictions"]))
    assert _kinds(kept)[-1] == "SOFTMAX"
    runner = Interpreter(model_content=kept)
    signature = runner.get_signature_runner()
    assert list(signature.get_input_details()) == ["image"]
    result = signature(image=images)["probabilities"]
    assert result.dtype == np.float32 and np.array_equal(result, predictor(kept)(images))
    assert (
        runner.get_output_details()[0]["name"] == Interpreter(model_content=quantized).get_output_details()[0]["name"]
    )


def test_files_of_different_models_are_told_apart(files: dict[str, bytes]) -> None:
    floats: Any = read_model(files["float"])
    graph = floats.subgraphs[0]
    kinds = [operator_name(floats, operator) for operator in graph.operators]
    graph.operators[kinds.index("HARD_SWISH")].opcodeIndex = graph.operators[kinds.index("LOGISTIC")].opcodeIndex
    with pytest.raises(ArrangedOtherwiseError, match="it has no HARD_SWISH that reads what 'net"):
        find_twins(read_model(files["folded"]), read_model(write_model(floats)))
