"""ONNX int8 by ONNX Runtime: static, QDQ, weights per channel, settings by what the CPU can do."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_fm_export.context import BuildContext, Built
from edge_fm_export.onnx.accuracy_control import control_onnx
from edge_fm_export.onnx.int8_quantizer import CALIBRATION_METHOD, predictor, prepare, quantize_file
from edge_fm_export.onnx.onnx_format import describe, fp32_model
from edge_fm_export.packages import require_package
from edge_fm_export.quantization.calibration import batches, require_calibration
from edge_fm_export.quantization.cpu import integer_settings
from edge_fm_runtime.errors import ExportError

PAYLOAD = "model.onnx"


def build(context: BuildContext, folder: Path) -> Built:
    """Build the int8 artifact's `model.onnx`.

    Raises:
        ExportError: no calibration images, the quantizer fails, or nothing but float meets the requested accuracy.
        MissingDependencyError: onnxruntime or onnx is not installed.
    """
    for package in ("onnx", "onnxruntime"):
        require_package(package, "ONNX int8")
    calibration = require_calibration(context)
    settings = integer_settings(any_cpu=context.quantize.any_cpu)
    prepared = prepare(fp32_model(context), context.scratch / "int8-prepared.onnx")
    target = folder / PAYLOAD
    recorded: dict[str, Any] = {
        "quantizer": "onnxruntime.quantization.quantize_static",
        "format": "QDQ",
        "weights": "int8, symmetric, per channel",
        "calibration_method": CALIBRATION_METHOD,
        "samples": len(calibration.images),
        "calibration_sha256": calibration.sha256,
        "seed": context.quantize.seed,
        **asdict(settings),
        "kept_float": [],
    }

    def quantize(kept_float: Collection[str], path: Path) -> None:
        quantize_file(
            prepared,
            path,
            batches(calibration.images, static=context.static_batch),
            settings=settings,
            exclude=kept_float,
        )

    proven = f"The 8-bit predictions were proven for {settings.safe_for}."
    notes: tuple[str, ...] = (proven if settings.reduce_range else f"{proven} For other CPUs export with --any-cpu.",)
    if context.quantize.accuracy_control:
        controlled = control_onnx(context, prepared, quantize, target)
        recorded |= controlled.record
        notes += controlled.notes
    else:
        context.progress("quantizing onnx", 0, 1)
        quantize((), target)
        context.progress("quantizing onnx", 1, 1)
    _require_loadable(target)
    return Built(PAYLOAD, quantization=recorded, graph=describe(target), notes=notes)


def _require_loadable(target: Path) -> None:
    """Raise if the model resizes by bicubic interpolation in a way that ONNX Runtime cannot load.

    With the bytes around it, ONNX Runtime (1.31) moves the resize to channels last, where it has no bicubic kernel.

    Raises:
        ExportError: names the layers.
    """
    import onnx

    nodes = onnx.load(target).graph.node
    cubic = [n.name for n in nodes if n.op_type == "Resize" and any(a.s == b"cubic" for a in n.attribute)]
    if not cubic:
        return
    try:
        predictor(target)
    except Exception as error:
        raise ExportError(
            f"ONNX Runtime cannot load the model at int8: it resizes by bicubic interpolation ({', '.join(cubic)}).",
            hint="Use --precision fp16, or --format openvino, or resize with interpolation='bilinear'.",
        ) from error
