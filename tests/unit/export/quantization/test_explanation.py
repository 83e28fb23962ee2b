"""What int8 does to each layer: the layer and the channel that were made to break are named, and the advice works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import pytest

from edge_fm_export.context import BuildContext, EvaluationSet, QuantizeOptions, SourceModel
from edge_fm_export.gate.advice import gate_advice
from edge_fm_export.litert.litert_format import quantize_int8
from edge_fm_export.quantization.explanation.explanation import Explanation, FloatTrial, LayerError, Outlier
from edge_fm_export.quantization.explanation.tables import trial_rows
from edge_fm_export.targets import Target, find_builder
from edge_fm_runtime.artifacts.metadata import InputSpec, PhotoSpec
from edge_fm_runtime.errors import ExportError
from edge_fm_runtime.parity.checks import Check

if TYPE_CHECKING:
    import keras

SHAPE, CLASSES, CHANNEL = (16, 16, 3), 4, 5


def _explanation(*trials: FloatTrial, measures: tuple[str, ...] = (), plain: float = 0.1) -> Explanation:
    worst = LayerError("conv1", ("Conv",), 0.3, 0.75, outlier=Outlier(CHANNEL, 900.0))
    return Explanation(
        (worst, LayerError("conv2", ("Conv",), 0.1, 0.25)), trials, measures, plain, 0.5, 200, "held out"
    )


def test_a_healthy_model_needs_nothing() -> None:
    explanation = _explanation(FloatTrial((), 0.1, True, 1000, 1.0))
    assert explanation.healthy and explanation.enough is None and explanation.cause == ""
    assert explanation.advice == (
        "Nothing needs mending: int8 loses 0.10 points on 200 images held out; 0.5 are allowed."
    )


def test_what_was_needed_and_why_is_said() -> None:
    explanation = _explanation(FloatTrial((), 0.0, True, 1000, 1.0), measures=("equalization",), plain=40.0)
    assert explanation.healthy
    assert "75% of the layers' errors come from conv1, whose channel 5 reaches 900 times" in explanation.cause
    assert "with equalization, int8 loses 0.00 points on 200 images held out, 40.00 without" in explanation.advice


def test_the_advice_is_the_fewest_layers_that_suffice() -> None:
    trials = (
        FloatTrial((), 9.0, False, 1000, 1.0),
        FloatTrial(("conv1",), 2.0, False, 1100, 1.1),
        FloatTrial(("conv1", "my conv"), 0.2, True, 1200, 1.25),
    )
    explanation = _explanation(*trials)
    assert explanation.enough == trials[2]
    assert "--keep-float conv1 --keep-float 'my conv'" in explanation.advice
    assert "from 9.00 to 0.20 points, the file grows from 1,000 to 1,200 bytes" in explanation.advice


def test_where_floats_do_not_help_another_precision_is_advised() -> None:
    explanation = _explanation(FloatTrial((), 9.0, False, 1000, 1.0), FloatTrial(("conv1",), 8.0, False, 1100, 1.1))
    assert explanation.enough is None
    assert explanation.advice.endswith("use --precision fp16.")


def test_layers_that_are_in_float_already_are_part_of_the_advice() -> None:
    trials = FloatTrial((), 9.0, False, 1000, 1.0), FloatTrial(("conv2",), 0.2, True, 1200, 1.25)
    explanation = replace(_explanation(*trials), kept=("conv1",))
    assert explanation.wanted == ("conv1", "conv2")
    assert explanation.advice.startswith("Leave conv1 and conv2 in float: --keep-float conv1 --keep-float conv2.")
    assert [row[0] for row in trial_rows(explanation)] == ["as requested", "as requested, the worst"]
    failed = Check("drop_points", 9.0, 0.5, passed=False)
    advice = gate_advice(
        [failed], Target("litert", "int8"), QuantizeOptions(keep_float=("conv1",)), explanation=explanation
    )
    assert advice.startswith("Try --keep-float conv1 --keep-float conv2, ")


def test_no_more_is_said_of_layers_in_float_than_was_tried() -> None:
    built = FloatTrial((), 9.0, False, 1000, 1.0)
    assert "with its worst layer in float, none with weights would be left at int8" in _explanation(built).advice
    one = _explanation(built, FloatTrial(("conv1",), 8.0, False, 1100, 1.1))
    assert "leaving the worst layer in float does not bring it under 0.5: use" in one.advice
    two = _explanation(built, FloatTrial(("conv1", "conv2"), 8.0, False, 1100, 1.1))
    assert "leaving the 2 worst layers in float does not bring it under 0.5: use" in two.advice


def _wide_depthwise(x: Any, layers: Any) -> Any:
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise")(x)
    return layers.Conv2D(8, 1, activation="relu", name="pointwise")(x)


def _squeeze_and_excite(x: Any, layers: Any) -> Any:
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    gate = layers.Conv2D(8, 1, activation="sigmoid", name="excite")(gate)
    x = layers.Multiply(name="scaled")([x, gate])
    return layers.Conv2D(8, 3, padding="same", activation="relu", name="conv2")(x)


def _hard_swish(x: Any, layers: Any) -> Any:
    x = layers.Conv2D(8, 3, padding="same", name="conv2")(x)
    return layers.Activation("hard_swish", name="hard_swish")(x)


WIDE_DEPTHWISE = "wide range before a depthwise convolution"
HARD_SWISH = "hard-swish"
BLOCKS: dict[str, Callable[[Any, Any], Any]] = {
    WIDE_DEPTHWISE: _wide_depthwise,
    "squeeze-and-excite": _squeeze_and_excite,
    HARD_SWISH: _hard_swish,
}


FORMATS = [
    *(
        pytest.param(name, marks=pytest.mark.needs("tensorflow", "onnx", "onnxruntime", "tf2onnx", "openvino", "nncf"))
        for name in ("onnx", "openvino")
    ),
    pytest.param("litert", marks=pytest.mark.needs("tensorflow", "ai_edge_litert")),
]


@cache
def _source(block: str, *, factor: float) -> tuple[SourceModel, EvaluationSet]:
    """A model that tells colours, whose first convolution has a channel `factor` times larger; and its images."""
    import keras

    keras.utils.set_random_seed(4)
    layers = keras.layers
    image = keras.Input(SHAPE, dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255.0, name="scale")(image)
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="wide")(x)
    x = BLOCKS[block](x, layers)
    pooled = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(CLASSES, name="logits")(pooled)
    model = keras.Model(image, layers.Activation("softmax", dtype="float32", name="probabilities")(x), name="net")
    _scale_channel(model, factor)
    images, labels = _coloured(360)
    features = np.asarray(keras.Model(image, pooled)(images), np.float64)
    # The head by ridge regression: small weights and clear margins, as a trained model has them.
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-3
    inputs, targets = (features - mean) / spread, 16.0 * np.eye(CLASSES)[labels]
    solved = np.linalg.solve(inputs.T @ inputs + 5.0 * np.eye(len(mean)), inputs.T @ (targets - targets.mean(axis=0)))
    kernel = solved / spread[:, None]
    model.get_layer("logits").set_weights([kernel, targets.mean(axis=0) - mean @ kernel])
    assert (np.asarray(model(images)).argmax(axis=1) == labels).all()
    source = SourceModel(
        "net", model, InputSpec(*SHAPE), tuple(map(str, range(CLASSES))), PhotoSpec(mode="stretch"), "0" * 64
    )
    return source, EvaluationSet("own", images, labels, "1" * 64)


def _coloured(count: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Noise around one of four colours, and which one."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, CLASSES, count)
    colours = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200], [160, 160, 160]])
    noise = rng.integers(-40, 41, (count, *SHAPE)) + rng.integers(-20, 21, (count, 1, 1, 1))
    return np.clip(colours[labels][:, None, None] + noise, 0, 255).astype(np.uint8), labels.astype(np.int64)


def _scale_channel(model: keras.Model, factor: float) -> None:
    """Multiply a channel of the first convolution, and divide it where it is read next, as far as one layer can."""
    kernel, bias = model.get_layer("wide").get_weights()
    kernel[..., CHANNEL] *= factor
    bias[CHANNEL] *= factor
    model.get_layer("wide").set_weights([kernel, bias])
    for name in ("depthwise", "excite", "conv2"):
        if name in {layer.name for layer in model.layers}:
            weights = model.get_layer(name).get_weights()
            weights[0][:, :, CHANNEL] /= factor
            model.get_layer(name).set_weights(weights)


def _context(source: SourceModel, images: EvaluationSet, scratch: Path, **options: Any) -> BuildContext:
    scratch.mkdir(parents=True)
    assert images.labels is not None
    calibration = EvaluationSet("calibration", images.images[:60], images.labels[:60], "2" * 64)
    validation = EvaluationSet("validation", images.images[60:], images.labels[60:], "3" * 64)
    return BuildContext(source, scratch, calibration, validation, QuantizeOptions(**options))


def _explain(context: BuildContext, format_: str) -> tuple[Explanation, Any]:
    folder = context.scratch / "made"
    folder.mkdir()
    built = find_builder(Target(cast("Any", format_), "int8"))(context, folder)
    assert built.explain is not None
    return cast("Explanation", built.explain()), built


@pytest.mark.slow
@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("block", BLOCKS)
def test_the_layer_made_to_break_is_named_and_the_advice_works(block: str, format_: str, tmp_path: Path) -> None:
    source, images = _source(block, factor=1000.0)
    explanation, _ = _explain(_context(source, images, tmp_path / "plain"), format_)
    if (block, format_) == (WIDE_DEPTHWISE, "openvino"):
        # NNCF gives the input of a depthwise convolution a scale for each channel: nothing breaks.
        assert explanation.healthy and not explanation.measures
        return
    worst = explanation.layers[0]
    assert worst.layer in ("wide", "scaled")  # squeeze-and-excite hands the channel on as it is
    assert worst.outlier is not None and worst.outlier.channel == CHANNEL and worst.outlier.ratio > 100
    assert explanation.plain_drop_points > 0.5
    assert f"{worst.layer}, whose channel 5 reaches" in explanation.cause
    if explanation.healthy:
        assert explanation.measures
        return
    assert explanation.enough is not None, explanation.advice
    again, built = _explain(
        _context(source, images, tmp_path / "advised", keep_float=explanation.enough.layers), format_
    )
    assert again.healthy, again.advice
    assert built.quantization["kept_float"]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_healthy_model_is_called_so_and_unknown_layers_are_refused(format_: str, tmp_path: Path) -> None:
    source, images = _source(HARD_SWISH, factor=1.0)
    explanation, built = _explain(_context(source, images, tmp_path / "plain"), format_)
    assert explanation.healthy and not explanation.measures
    assert explanation.advice.startswith("Nothing needs mending")
    assert {"wide", "conv2", "logits"} <= {layer.layer for layer in explanation.layers}
    assert sum(layer.share for layer in explanation.layers) == pytest.approx(1.0)
    wide = next(layer for layer in explanation.layers if layer.layer == "wide")
    kernel = source.model.get_layer("wide").get_weights()[0]
    assert wide.weight_range is not None
    # The scaling of pixels may have been folded into it.
    assert wide.weight_range[1] / wide.weight_range[0] == pytest.approx(kernel.max() / kernel.min(), rel=1e-4)
    assert built.quantization["kept_float"] == []
    with pytest.raises(ExportError, match="There is no layer 'conv3' that int8 quantizes; there are: ") as caught:
        _explain(_context(source, images, tmp_path / "unknown", keep_float=("conv3",)), format_)
    assert caught.value.hint == "Did you mean --keep-float conv2?"


@pytest.mark.parametrize("format_", FORMATS)
def test_an_artifact_with_every_layer_in_float_is_not_called_int8(format_: str, tmp_path: Path) -> None:
    source, images = _source(HARD_SWISH, factor=1.0)
    context = _context(source, images, tmp_path / "floats", keep_float=("wide", "conv2", "logits"))
    with pytest.raises(ExportError, match="There is no layer to quantize") as caught:
        find_builder(Target(cast("Any", format_), "int8"))(context, context.scratch)
    assert "--keep-float" in str(caught.value.hint)


@pytest.mark.needs("tensorflow", "ai_edge_litert")
def test_a_model_for_microcontrollers_has_no_layers_in_float(tmp_path: Path) -> None:
    source, images = _source(HARD_SWISH, factor=1.0)
    context = _context(source, images, tmp_path / "floats", keep_float=("conv2",))
    with pytest.raises(ExportError, match="A model for microcontrollers cannot leave layers in float") as caught:
        quantize_int8(context, layers_in_float=False)
    assert "Leave out --keep-float here" in str(caught.value.hint)


@pytest.mark.parametrize("format_", FORMATS)
def test_the_first_layer_of_grey_images_keeps_its_name(format_: str, tmp_path: Path) -> None:
    """tf2onnx moves its convolution before a reshape, and calls it `Conv`."""
    from edge_fm.models import build_model

    rng = np.random.default_rng(0)
    model = build_model("lenet5", input_shape=(28, 28, 1), classes=3)
    model.set_weights([rng.normal(0, 0.1, weight.shape) for weight in model.get_weights()])
    source = SourceModel("lenet5", model, InputSpec(28, 28, 1), ("a", "b", "c"), PhotoSpec(mode="stretch"), "0" * 64)
    images = rng.integers(0, 256, (120, 28, 28, 1), dtype=np.uint8)
    evaluation = EvaluationSet("own", images, np.arange(120) % 3, "1" * 64)
    context = _context(source, evaluation, tmp_path / "plain", keep_float=("conv1",))
    built = find_builder(Target(cast("Any", format_), "int8"))(context, context.scratch)
    assert built.quantization is not None and built.quantization["kept_float"]
