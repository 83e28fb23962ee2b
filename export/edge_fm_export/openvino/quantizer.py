"""Quantize an OpenVINO model with NNCF, and run one on this CPU."""

from __future__ import annotations

import io
import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_fm_export.compat.openvino_signal_stack import signal_stack_restored
from edge_fm_export.compat.tensorflow_setup import quiet
from edge_fm_export.context import BuildContext
from edge_fm_export.openvino.ir_float_layers import LAYERS
from edge_fm_export.quantization.calibration import batches, require_calibration
from edge_fm_runtime.engines.openvino_core import shared_core
from edge_fm_runtime.errors import ExportError
from edge_fm_runtime.system.brief_errors import brief

BiasCorrection: TypeAlias = Literal["none", "sequential", "fast"]
"""NNCF's: layer after layer on what is quantized so far, or each layer by itself on the float model's activations."""


def quantize(
    context: BuildContext, model: Any, *, correction: BiasCorrection, kept: Collection[str] = (), samples: int = 0
) -> Any:
    """Quantize the float `model` (openvino.Model) by calibration.

    Args:
        context: of the export.
        model: may be changed.
        correction: of biases.
        kept: names of the operations that stay in float.
        samples: how many of the calibration images are used; 0: all.

    Raises:
        ExportError: NNCF fails.
    """
    import nncf

    images = require_calibration(context).images[: samples or None]
    with silent_nncf():
        try:
            return nncf.quantize(
                model,
                dataset(context, images),
                ignored_scope=nncf.IgnoredScope(names=sorted(kept), validate=False) if kept else None,
                advanced_parameters=advanced(correct_biases=correction != "none"),
                **settings(len(images), fast=correction == "fast"),
            )
        except Exception as error:
            raise failed(error, context) from error


def layer_names(model: Any) -> list[str]:
    """Names of the layers with weights."""
    return [op.get_friendly_name() for op in model.get_ordered_ops() if op.get_type_name() in LAYERS]


def is_quantized(model: Any) -> bool:
    """Whether anything in the model (openvino.Model) is quantized."""
    return any(op.get_type_name() == "FakeQuantize" for op in model.get_ops())


def settings(samples: int, *, fast: bool = False) -> dict[str, Any]:
    """Arguments for `nncf.quantize` and its relatives."""
    import nncf

    return {
        "preset": nncf.QuantizationPreset.MIXED,
        "target_device": nncf.TargetDevice.CPU,
        "subset_size": samples,
        "fast_bias_correction": fast,
    }


def advanced(*, correct_biases: bool = True) -> Any:
    """Ranges of activations over all samples, as an argument for NNCF."""
    import nncf
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    return nncf.AdvancedQuantizationParameters(
        activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
        disable_bias_correction=not correct_biases,
    )


def dataset(context: BuildContext, images: npt.NDArray[np.uint8]) -> Any:
    """Images uint8 `[N,H,W,C]` as NNCF reads them."""
    import nncf

    # One image a time, as NNCF's statistics count samples; a fixed batch is filled up.
    return nncf.Dataset(list(batches(images, static=context.static_batch, size=1)))


def compile_model(model: Any) -> Any:
    """Compile for this CPU, in exact arithmetic."""
    return shared_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def compile_quantized(model: Any, context: BuildContext) -> Any:
    """Compile a quantized model for this CPU.

    Raises:
        ExportError: OpenVINO cannot load it.
    """
    try:
        return compile_model(model)
    except Exception as error:
        raise ExportError(
            f"OpenVINO cannot load the model at int8: {brief(error)}", hint=_hint(context.static_batch)
        ) from error


def runner(compiled: Any) -> Any:
    """A function from pixels `[N,H,W,C]` to probabilities `[N,classes]`: the compiled model."""

    def predict(batch: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return np.array(compiled(batch)[0], dtype=np.float32)

    return predict


def failed(error: Exception, context: BuildContext) -> ExportError:
    """The error for NNCF's `error`."""
    return ExportError(f"NNCF cannot quantize the model: {brief(error)}", hint=_hint(context.static_batch))


def _hint(static_batch: int | None) -> str:
    hint = "Use --precision fp16, or --format onnx."
    if static_batch is None:
        return f"Fix the batch size, which layers such as attention need here: --static-batch 1. {hint}"
    return hint


@contextmanager
def silent_nncf() -> Iterator[None]:
    """Hold back NNCF's log and its progress bars, which go to stdout, where data belongs."""
    import nncf

    level = logging.getLogger("nncf").level
    nncf.set_log_level(logging.ERROR)
    try:
        with signal_stack_restored(), quiet(), redirect_stdout(io.StringIO()):
            yield
    finally:
        nncf.set_log_level(level or logging.INFO)
