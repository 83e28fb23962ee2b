"""LiteRT (`.tflite`) by TensorFlow's converter: fp32, fp16 weights, and full-integer int8."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_fm_export.context import BuildContext, Built
from edge_fm_export.litert.converter_process import convert
from edge_fm_export.packages import require_package
from edge_fm_export.quantization.calibration import require_calibration
from edge_fm_runtime.artifacts.metadata import EMBEDDED_KEY, Metadata
from edge_fm_runtime.errors import ExportError

PAYLOAD = "model.tflite"


def build_fp32(context: BuildContext, folder: Path) -> Built:
    """Build the fp32 artifact's `model.tflite`.

    Raises:
        ExportError: an operator of the model has no LiteRT kernel.
    """
    return _write(folder, convert(context, "fp32"))


def build_fp16(context: BuildContext, folder: Path) -> Built:
    """Build the fp16 artifact's `model.tflite`: weights in half precision; CPUs compute in fp32."""
    note = "CPUs widen the half-precision weights and compute in fp32: half the bytes, no gain in speed."
    return _write(folder, convert(context, "fp16"), notes=(note,))


def build_int8(context: BuildContext, folder: Path) -> Built:
    """Build the int8 artifact's `model.tflite`: integers throughout, uint8 pixels in, float32 probabilities out.

    Raises:
        ExportError: no calibration images, accuracy control was requested, or an operator has no integer kernel.
    """
    if context.quantize.accuracy_control:
        raise ExportError(
            "LiteRT's converter has no accuracy control; the onnx and openvino formats have.",
            hint="Leave out --accuracy-control for litert, or use --format onnx.",
        )
    calibration = require_calibration(context)
    recorded = {
        "quantizer": "tf.lite.TFLiteConverter",
        "mode": "full integer",
        "weights": "int8, symmetric, per channel",
        "activations": "int8",
        "samples": len(calibration.images),
        "calibration_sha256": calibration.sha256,
        "seed": context.quantize.seed,
        "kept_float": [],
    }
    return _write(folder, convert(context, "int8"), quantization=recorded)


def embed(payload: Path, text: str, metadata: Metadata) -> None:
    """Write `text` into the model's own list of named metadata buffers (schema.fbs, `Model.metadata`)."""
    require_package("ai_edge_litert", "LiteRT metadata")
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(payload))
    content = list(text.encode())
    for entry in model.metadata or []:
        if entry.name == EMBEDDED_KEY.encode():
            model.buffers[entry.buffer].data = content
            break
    else:
        buffer = schema.BufferT()
        buffer.data = content
        model.buffers.append(buffer)
        entry = schema.MetadataT()
        entry.name, entry.buffer = EMBEDDED_KEY, len(model.buffers) - 1
        model.metadata = [*(model.metadata or []), entry]
    flatbuffer_utils.write_model(model, str(payload))


def describe(payload: Path) -> dict[str, int]:
    """Nodes and parameters (elements of constant float and 8-bit tensors) of a `.tflite` file."""
    import math

    require_package("ai_edge_litert", "LiteRT export")
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(payload))
    kinds = (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16, schema.TensorType.INT8, schema.TensorType.INT32)
    graph = model.subgraphs[0]
    constants = [t for t in graph.tensors if t.type in kinds and model.buffers[t.buffer].data is not None]
    return {"nodes": len(graph.operators), "parameters": sum(math.prod(t.shape) for t in constants if len(t.shape))}


def _write(
    folder: Path, data: bytes, *, quantization: Mapping[str, Any] | None = None, notes: tuple[str, ...] = ()
) -> Built:
    (folder / PAYLOAD).write_bytes(data)
    return Built(PAYLOAD, quantization=quantization, graph=describe(folder / PAYLOAD), notes=notes)
