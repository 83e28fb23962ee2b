"""OpenVINO int8 by NNCF: static, weights per channel, layers that cost too much left in float on demand."""

from __future__ import annotations

import io
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from edge_fm_export.context import BuildContext, Built
from edge_fm_export.quantization.accuracy_control import AIM, Judge, answer_all, judge
from edge_fm_export.quantization.calibration import batches, require_calibration
from edge_fm_export.quantization.ir_compact import compact
from edge_fm_export.quantization.weights_alone import choose
from edge_fm_export.tensorflow_setup import quiet, require_package
from edge_fm_runtime.errors import ExportError

PAYLOAD = "model.xml"
PRESET = "mixed"
"""Activations asymmetric: measured as fast as "performance" on CPUs, and closer for activations that are not ReLU."""
FAST_BIAS_CORRECTION = False
"""The layer-by-layer correction: on two small networks the fast one moved 2.5% and 8% of the answers, this one 1%."""
_RANKING_IMAGES = 300
_LAYERS = ("Convolution", "GroupConvolution", "MatMul", "ConvolutionBackpropData")
_CONVOLUTION = "/WithoutBiases"
"""What OpenVINO adds to a convolution's name when it takes the bias out of it."""


def build(context: BuildContext, folder: Path) -> Built:
    """Build the int8 artifact: `model.xml` and `model.bin`, floats uncompressed.

    Raises:
        ExportError: no calibration images, or NNCF fails.
        MissingDependencyError: openvino or nncf is not installed.
    """
    from edge_fm_export.openvino_format import describe, fp32_model, save_ir

    for package in ("openvino", "nncf"):
        require_package(package, "OpenVINO int8")
    calibration = require_calibration(context)
    source = fp32_model(context)
    import openvino as ov

    model = ov.Core().read_model(source)
    recorded: dict[str, Any] = {
        "quantizer": "nncf.quantize",
        "preset": PRESET,
        "target_device": "CPU",
        "weights": "int8, symmetric, per channel",
        "fast_bias_correction": FAST_BIAS_CORRECTION,
        "samples": len(calibration.images),
        "calibration_sha256": calibration.sha256,
        "seed": context.quantize.seed,
        "kept_float": [],
    }
    notes: tuple[str, ...] = ()
    context.progress("quantizing openvino", 0, 1)
    if context.quantize.accuracy_control:
        steering = judge(context)
        quantized, record, notes = _controlled(context, model, steering)
        recorded |= record
    else:
        quantized = _plain(context, model)
    target = folder / PAYLOAD
    save_ir(quantized, target)
    compact(target)
    if context.quantize.accuracy_control:
        recorded["kept_float"] = kept_in_float(target)
    elif not _quantized(quantized):
        raise ExportError("The model has no layer that NNCF quantizes.", hint="Use --precision fp16.")
    context.progress("quantizing openvino", 1, 1)
    return Built(PAYLOAD, quantization=recorded, graph=describe(target), notes=notes)


def _plain(context: BuildContext, model: Any) -> Any:
    import nncf

    images = require_calibration(context).images
    with _silent_nncf():
        try:
            return nncf.quantize(model, _dataset(context, images), **_settings(len(images)))
        except Exception as error:
            raise _failed(error) from error


def _controlled(context: BuildContext, model: Any, steering: Judge) -> tuple[Any, Mapping[str, Any], tuple[str, ...]]:
    """NNCF's own accuracy control, steered by top-1 accuracy on images that are not the test split's."""
    import nncf

    images = require_calibration(context).images
    static = context.static_batch
    original = answer_all(_run(_compile(model)), steering.images, static)
    limit = context.quantize.max_drop_points
    aim = AIM * limit
    measured: list[float] = []

    def accuracy(compiled: Any, items: Iterable[Any]) -> tuple[float, list[float]]:
        # NNCF gives a compiled model and the items that it chose: all of them, or those that rank the layers.
        chosen = np.concatenate([np.atleast_1d(item) for item in items]).astype(np.intp)
        answers = answer_all(_run(compiled), steering.images[chosen], static)
        part = Judge(steering.images[chosen], None if steering.labels is None else steering.labels[chosen])
        truth = original[chosen].argmax(axis=1) if part.labels is None else part.labels
        right = (answers.argmax(axis=1) == truth).astype(np.float64)
        measured.append(float(right.mean()))
        context.progress("accuracy control", len(measured), None)
        return measured[-1], right.tolist()

    with _silent_nncf():
        try:
            quantized = nncf.quantize_with_accuracy_control(
                model,
                calibration_dataset=_dataset(context, images),
                validation_dataset=nncf.Dataset(list(range(len(steering.images)))),
                validation_fn=accuracy,
                max_drop=aim / 100.0,
                drop_type=nncf.DropType.ABSOLUTE,
                advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(
                    ranking_subset_size=min(_RANKING_IMAGES, len(steering.images)), num_ranking_workers=1
                ),
                **_settings(len(images)),
            )
        except Exception as error:
            raise _failed(error) from error
    reference = steering.accuracy(original, original)
    notes = (steering.note,) if steering.note else ()

    def drop_of(candidate: Any) -> float:
        answers = answer_all(_run(_compile(candidate)), steering.images, static)
        return 100.0 * (reference - steering.accuracy(answers, original))

    extra: dict[str, Any] = {}
    drop = drop_of(quantized)
    if not _quantized(quantized) or drop > limit:
        layers = _layers(model)
        alone = choose(layers, lambda out: drop_of(_weights_alone(model, out)), aim_points=aim)
        quantized = _weights_alone(model, set(layers) - set(alone.stored))
        drop, notes = alone.drop_points, (*notes, alone.note)
        extra = {"weights_int8": [name.removesuffix(_CONVOLUTION) for name in alone.stored]}
    record = {
        "quantizer": "nncf.compress_weights" if extra else "nncf.quantize_with_accuracy_control",
        "accuracy_control": {
            "max_drop_points": limit,
            "aimed_drop_points": aim,
            "drop_points": drop,
            "images": len(steering.images),
            "tries": len(measured),
        },
        **extra,
    }
    return quantized, record, notes


def _weights_alone(model: Any, keep: Collection[str]) -> Any:
    """The float `model` with the weights of all layers but `keep` in int8."""
    import nncf

    with _silent_nncf():
        try:
            return nncf.compress_weights(
                model.clone(),
                mode=nncf.CompressWeightsMode.INT8_SYM,
                ignored_scope=nncf.IgnoredScope(names=sorted(keep)),
            )
        except Exception as error:
            raise _failed(error) from error


def _layers(model: Any) -> list[str]:
    """Names of the layers with weights."""
    return [op.get_friendly_name() for op in model.get_ordered_ops() if op.get_type_name() in _LAYERS]


def _quantized(model: Any) -> bool:
    return any(op.get_type_name() == "FakeQuantize" for op in model.get_ops())


def _settings(samples: int) -> dict[str, Any]:
    import nncf

    return {
        "preset": nncf.QuantizationPreset.MIXED,
        "target_device": nncf.TargetDevice.CPU,
        "subset_size": samples,
        "fast_bias_correction": FAST_BIAS_CORRECTION,
    }


def _dataset(context: BuildContext, images: npt.NDArray[np.uint8]) -> Any:
    import nncf

    # One image a time, as NNCF's statistics count samples; a fixed batch is filled up.
    return nncf.Dataset(list(batches(images, static=context.static_batch, size=1)))


def _compile(model: Any) -> Any:
    import openvino as ov

    return ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def _run(compiled: Any) -> Any:
    def answer(batch: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return np.array(compiled(batch)[0], dtype=np.float32)

    return answer


def _failed(error: Exception) -> ExportError:
    return ExportError(f"NNCF cannot quantize the model: {error}", hint="Use --precision fp16, or --format onnx.")


def kept_in_float(path: Path) -> list[str]:
    """Names of the convolutions and dense layers of an IR that compute in float.

    Such a layer has no FakeQuantize on the way to its activations, or weights that are no 8-bit constants.
    """
    root = ElementTree.parse(path).getroot()
    layers = {layer.get("id"): layer for layer in root.iter("layer")}
    inputs: dict[tuple[str | None, str | None], str | None] = {}
    for edge in root.iter("edge"):
        inputs[edge.get("to-layer"), edge.get("to-port")] = edge.get("from-layer")
    kept = []
    for number, layer in layers.items():
        if layer.get("type") not in _LAYERS:
            continue
        sources = [layers[inputs[number, port]] for port in ("0", "1") if (number, port) in inputs]
        if not all(_is_integer(layers, inputs, source) for source in sources):
            kept.append(layer.get("name", "").removesuffix(_CONVOLUTION))
    return kept


_PASSING = ("Transpose", "Reshape", "Squeeze", "Unsqueeze", "MaxPool", "Convert", "Multiply", "Subtract", "Pad")


def _is_integer(layers: Mapping[Any, Any], inputs: Mapping[Any, Any], layer: Any) -> bool:
    """Whether a layer's input comes from a FakeQuantize, or from 8-bit weights (Const, Convert, Multiply)."""
    for _ in range(16):
        kind = layer.get("type")
        if kind == "FakeQuantize":
            return True
        if kind == "Const":
            data = layer.find("data")
            return data is not None and data.get("element_type") in ("i8", "u8")
        source = inputs.get((layer.get("id"), "0"))
        if kind not in _PASSING or source is None:
            return False
        layer = layers[source]
    return False


@contextmanager
def _silent_nncf() -> Iterator[None]:
    """Hold back NNCF's log and its progress bars, which go to stdout, where data belongs."""
    import nncf

    level = logging.getLogger("nncf").level
    nncf.set_log_level(logging.ERROR)
    try:
        with quiet(), redirect_stdout(io.StringIO()):
            yield
    finally:
        nncf.set_log_level(level or logging.INFO)
