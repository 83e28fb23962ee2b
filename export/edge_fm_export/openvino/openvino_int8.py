"""OpenVINO int8 by NNCF: static, weights per channel, layers that cost too much left in float on demand."""

from __future__ import annotations

import io
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.compat.library_folders import some_home_folder
from edge_fm_export.compat.openvino_signal_stack import signal_stack_restored
from edge_fm_export.compat.tensorflow_setup import quiet
from edge_fm_export.context import BuildContext, Built
from edge_fm_export.openvino.ir_float_layers import CONVOLUTION, LAYERS, float_layers
from edge_fm_export.openvino.ir_size import prune_ir
from edge_fm_export.packages import require_package
from edge_fm_export.quantization.calibration import batches, require_calibration
from edge_fm_export.quantization.measures import Measure, Predict, select_measures
from edge_fm_export.quantization.selection import note_on_weights, select_int8_weights
from edge_fm_export.quantization.steering import Drop, SteeringImages, predict_all, steering_images
from edge_fm_runtime.engines.openvino_core import shared_core
from edge_fm_runtime.errors import ExportError
from edge_fm_runtime.system.brief_errors import brief

PAYLOAD = "model.xml"
PRESET = "mixed"
"""Activations asymmetric: measured as fast as "performance" on CPUs, and closer for activations that are not ReLU."""
FAST_BIAS_CORRECTION = False
"""The layer-by-layer correction: the fast one moved 2.5% and 8% of two small networks' predictions, this one 1%."""
LADDER: tuple[tuple[Measure, ...], ...] = (("fast bias correction",),)
"""Each layer by itself, on the original's activations; the default corrects layer after layer."""
ACTIVATION_RANGES = "min-max"
"""Over all samples. NNCF's default, the mean of each sample's extremes, clips half of them: it cost small networks
2 to 3.5 points, and this one 0.1."""
_RANKING_IMAGES = 300


def build(context: BuildContext, folder: Path) -> Built:
    """Build the int8 artifact: `model.xml` and `model.bin`, floats uncompressed.

    Raises:
        ExportError: no calibration images, or NNCF fails.
        MissingDependencyError: openvino or nncf is not installed.
    """
    from edge_fm_export.openvino.openvino_format import describe, fp32_model, save_ir

    for package in ("openvino", "nncf"):
        require_package(package, "OpenVINO int8")
    with some_home_folder():
        import nncf  # noqa: F401  # the functions below import it by name
    calibration = require_calibration(context)
    source = fp32_model(context)
    model = shared_core().read_model(source)
    recorded: dict[str, Any] = {
        "quantizer": "nncf.quantize",
        "preset": PRESET,
        "target_device": "CPU",
        "weights": "int8, symmetric, per channel",
        "activation_ranges": ACTIVATION_RANGES,
        "fast_bias_correction": FAST_BIAS_CORRECTION,
        "samples": len(calibration.images),
        "calibration_sha256": calibration.sha256,
        "seed": context.quantize.seed,
        "kept_float": [],
    }
    notes: tuple[str, ...] = ()
    context.progress("quantizing openvino", 0, 1)
    if context.quantize.accuracy_control:
        steering = steering_images(context)
        quantized, record, notes = _controlled(context, model, steering)
        recorded |= record
    else:
        trials: dict[tuple[Measure, ...], Any] = {}

        def make(measures: tuple[Measure, ...]) -> Predict:
            trials[measures] = _plain(context, shared_core().read_model(source), fast=bool(measures))
            predict: Predict = _run(_compile_quantized(trials[measures], context))
            return predict

        selected = select_measures(context, LADDER, make, _run(_compile(model)))
        quantized, notes = trials[selected.measures], selected.notes
        recorded |= selected.record
        recorded["fast_bias_correction"] = bool(selected.measures)
    target = folder / PAYLOAD
    save_ir(quantized, target)
    prune_ir(target)
    if context.quantize.accuracy_control:
        recorded["kept_float"] = float_layers(target)
    elif not _quantized(quantized):
        raise ExportError("The model has no layer that NNCF quantizes.", hint="Use --precision fp16.")
    context.progress("quantizing openvino", 1, 1)
    return Built(PAYLOAD, quantization=recorded, graph=describe(target), notes=notes)


def _plain(context: BuildContext, model: Any, *, fast: bool) -> Any:
    import nncf

    images = require_calibration(context).images
    with _silent_nncf():
        try:
            return nncf.quantize(
                model, _dataset(context, images), advanced_parameters=_advanced(), **_settings(len(images), fast=fast)
            )
        except Exception as error:
            raise _failed(error, context) from error


def _controlled(
    context: BuildContext, model: Any, steering: SteeringImages
) -> tuple[Any, Mapping[str, Any], tuple[str, ...]]:
    """NNCF's own accuracy control, steered by top-1 accuracy on images that are not the test split's."""
    import nncf

    images = require_calibration(context).images
    static = context.static_batch
    original = predict_all(_run(_compile(model)), steering.images, static)
    limit = context.quantize.max_drop_points
    tries = 0

    def accuracy(compiled: Any, items: Iterable[Any]) -> tuple[float, list[float]]:
        # NNCF gives a compiled model and the items that it selected: all of them, or those that rank the layers.
        selected = np.concatenate([np.atleast_1d(item) for item in items]).astype(np.intp)
        predictions = predict_all(_run(compiled), steering.images[selected], static)
        part = SteeringImages(steering.images[selected], None if steering.labels is None else steering.labels[selected])
        correct = part.correct(predictions, original[selected])
        nonlocal tries
        tries += 1
        context.progress("accuracy control", tries, None)
        # Less one standard error of the drop, which is 0 for the original: NNCF's limit then holds the cautious drop.
        error = part.drop(predictions, original[selected]).error_points / 100.0
        return float(correct.mean()) - error, correct.astype(np.float64).tolist()

    with _silent_nncf():
        try:
            quantized = nncf.quantize_with_accuracy_control(
                model,
                calibration_dataset=_dataset(context, images),
                validation_dataset=nncf.Dataset(list(range(len(steering.images)))),
                validation_fn=accuracy,
                max_drop=limit / 100.0,
                drop_type=nncf.DropType.ABSOLUTE,
                advanced_quantization_parameters=_advanced(),
                advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(
                    ranking_subset_size=min(_RANKING_IMAGES, len(steering.images)), num_ranking_workers=1
                ),
                **_settings(len(images)),
            )
        except Exception as error:
            raise _failed(error, context) from error
    notes = (steering.note,) if steering.note else ()

    def drop_of(candidate: Any) -> Drop:
        return steering.drop(predict_all(_run(_compile(candidate)), steering.images, static), original)

    extra: dict[str, Any] = {}
    drop = drop_of(quantized)
    if not _quantized(quantized) or drop.cautious_points > limit:
        layers = _layers(model)
        alone = select_int8_weights(
            layers, lambda out: drop_of(_compress_weights(context, model, out)).cautious_points, limit_points=limit
        )
        quantized = _compress_weights(context, model, set(layers) - set(alone))
        drop, notes = drop_of(quantized), (*notes, note_on_weights(alone))
        extra = {"weights_int8": [name.removesuffix(CONVOLUTION) for name in alone]}
    record = {
        "quantizer": "nncf.compress_weights" if extra else "nncf.quantize_with_accuracy_control",
        "accuracy_control": {
            "max_drop_points": limit,
            "drop_points": drop.points,
            "drop_error_points": drop.error_points,
            "images": len(steering.images),
            "tries": tries,
        },
        **extra,
    }
    return quantized, record, notes


def _compress_weights(context: BuildContext, model: Any, keep: Collection[str]) -> Any:
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
            raise _failed(error, context) from error


def _layers(model: Any) -> list[str]:
    """Names of the layers with weights."""
    return [op.get_friendly_name() for op in model.get_ordered_ops() if op.get_type_name() in LAYERS]


def _quantized(model: Any) -> bool:
    return any(op.get_type_name() == "FakeQuantize" for op in model.get_ops())


def _settings(samples: int, *, fast: bool = FAST_BIAS_CORRECTION) -> dict[str, Any]:
    import nncf

    return {
        "preset": nncf.QuantizationPreset.MIXED,
        "target_device": nncf.TargetDevice.CPU,
        "subset_size": samples,
        "fast_bias_correction": fast,
    }


def _advanced() -> Any:
    import nncf
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    return nncf.AdvancedQuantizationParameters(activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX)


def _dataset(context: BuildContext, images: npt.NDArray[np.uint8]) -> Any:
    import nncf

    # One image a time, as NNCF's statistics count samples; a fixed batch is filled up.
    return nncf.Dataset(list(batches(images, static=context.static_batch, size=1)))


def _compile(model: Any) -> Any:
    return shared_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def _compile_quantized(model: Any, context: BuildContext) -> Any:
    try:
        return _compile(model)
    except Exception as error:
        raise ExportError(
            f"OpenVINO cannot load the model at int8: {brief(error)}", hint=_hint(context.static_batch)
        ) from error


def _run(compiled: Any) -> Any:
    def predict(batch: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return np.array(compiled(batch)[0], dtype=np.float32)

    return predict


def _failed(error: Exception, context: BuildContext) -> ExportError:
    return ExportError(f"NNCF cannot quantize the model: {brief(error)}", hint=_hint(context.static_batch))


def _hint(static_batch: int | None) -> str:
    hint = "Use --precision fp16, or --format onnx."
    if static_batch is None:
        return f"Fix the batch size, which layers such as attention need here: --static-batch 1. {hint}"
    return hint


@contextmanager
def _silent_nncf() -> Iterator[None]:
    """Hold back NNCF's log and its progress bars, which go to stdout, where data belongs."""
    import nncf

    level = logging.getLogger("nncf").level
    nncf.set_log_level(logging.ERROR)
    try:
        with signal_stack_restored(), quiet(), redirect_stdout(io.StringIO()):
            yield
    finally:
        nncf.set_log_level(level or logging.INFO)
