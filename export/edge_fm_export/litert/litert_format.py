"""LiteRT (`.tflite`) by TensorFlow's converter: fp32, fp16 weights, and full-integer int8; `litert_w8a16` has w8a16."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_fm_export.context import BuildContext, Built
from edge_fm_export.litert.bias_correction import correct_biases
from edge_fm_export.litert.converter_process import convert
from edge_fm_export.litert.input_scaling import fold_input_scaling
from edge_fm_export.litert.kept_float import float_notes, layers_of, operators_in_float
from edge_fm_export.litert.layers.explanation import explain_int8, with_float_layers
from edge_fm_export.litert.model_file import read_model
from edge_fm_export.litert.runner import predictor
from edge_fm_export.packages import require_package
from edge_fm_export.quantization.calibration import batches, require_calibration
from edge_fm_export.quantization.explanation.explanation import Explanation
from edge_fm_export.quantization.impossible_options import Requested, require_possible
from edge_fm_export.quantization.measures import Measure, Predict, select_measures
from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.artifacts.metadata import EMBEDDED_KEY, Metadata

PAYLOAD = "model.tflite"
LADDER: tuple[tuple[Measure, ...], ...] = (("bias correction",),)
CORRECTION_IMAGES = 128
"""Means of channels have settled by then."""


def build_fp32(context: BuildContext, folder: Path) -> Built:
    """Build the fp32 artifact's `model.tflite`.

    Raises:
        ExportError: an operator of the model has no LiteRT kernel.
    """
    return write_payload(folder, convert(context, "fp32"))


def build_fp16(context: BuildContext, folder: Path) -> Built:
    """Build the fp16 artifact's `model.tflite`: weights in half precision; CPUs compute in fp32."""
    note = "CPUs widen the half-precision weights and compute in fp32: half the bytes, no gain in speed."
    return write_payload(folder, convert(context, "fp16"), notes=(note,))


def build_int8(context: BuildContext, folder: Path) -> Built:
    """Build the int8 artifact's `model.tflite`: integers throughout, uint8 pixels in, float32 probabilities out.

    Raises:
        ExportError: no calibration images, accuracy control was requested, or an operator has no integer kernel.
    """
    quantized = quantize_int8(context, layers_in_float=True)
    built = write_payload(folder, quantized.content, quantization=quantized.record, notes=quantized.notes)
    payload, size = folder / PAYLOAD, len(quantized.content)

    def explanation() -> Explanation | None:
        floats = _Floats(context).model()
        return explain_int8(context, quantized.content, floats, quantized.record, payload, size)

    return replace(built, explain=explanation)


@dataclass(frozen=True)
class Int8Model:
    """A full-integer model: its bytes, how it was quantized, and notes for a person."""

    content: bytes
    record: Mapping[str, Any]
    notes: tuple[str, ...]


def quantize_int8(context: BuildContext, *, layers_in_float: bool) -> Int8Model:
    """Quantize the model to integers throughout, but for `--keep-float`, with as many measures as its accuracy needs.

    Args:
        context: of the export, with calibration images.
        layers_in_float: whether layers may stay in float; a microcontroller computes in integers alone.

    Raises:
        ExportError: as for `build_int8`.
    """
    require_possible("litert" if layers_in_float else "tflm", "int8", Requested.of(context))
    calibration = require_calibration(context)
    # Formats of one export share it.
    stored = context.scratch / "litert-int8.tflite", context.scratch / "litert-int8.json"
    if stored[1].exists():
        about = json.loads(stored[1].read_text(encoding="utf-8"))
        return Int8Model(stored[0].read_bytes(), about["record"], tuple(about["notes"]))
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
    trials: dict[tuple[Measure, ...], bytes] = {}
    original = _Floats(context)

    def make(measures: tuple[Measure, ...]) -> Predict:
        if measures:
            images = batches(calibration.images[:CORRECTION_IMAGES], static=context.static_batch, size=8)
            trials[measures] = correct_biases(trials[()], original.model(), images)
        else:
            trials[()] = convert(context, "int8")
        return predictor(finish(trials[measures]))

    def finish(quantized: bytes) -> bytes:
        # After the biases are corrected, which compares the scaling with that of the float model.
        folded = fold_input_scaling(quantized)
        kept = context.quantize.keep_float
        return with_float_layers(context, folded, original.model(), kept) if kept else folded

    others = "The litert, onnx and openvino formats can leave layers in float."
    further = "--explain names the layers to leave in float with --keep-float." if layers_in_float else others
    selected = select_measures(context, LADDER, make, original.predict, further=further)
    content = finish(trials[selected.measures])
    # Without those that are to stay in float.
    unsupported = operators_in_float(context, trials[selected.measures])
    if unsupported or context.quantize.keep_float:
        floats = dict.fromkeys((*context.quantize.keep_float, *layers_of(unsupported)))
        recorded |= {"mode": "integer, with layers in float", "kept_float": list(floats)}
    notes = (*selected.notes, *float_notes(unsupported, why="LiteRT's converter has no 8-bit form"))
    made = Int8Model(content, {**recorded, **selected.record}, notes)
    stored[0].write_bytes(made.content)
    stored[1].write_text(json.dumps({"record": made.record, "notes": made.notes}), encoding="utf-8")
    return made


class _Floats:
    """The float model, converted when it is asked for."""

    def __init__(self, context: BuildContext) -> None:
        self._context = context

    def model(self) -> bytes:
        """The `.tflite` file's bytes."""
        path = self._context.scratch / "fp32.tflite"
        if not path.exists():
            path.write_bytes(convert(self._context, "fp32"))
        return path.read_bytes()

    def predict(self, batch: Pixels) -> Probabilities:
        """Probabilities `[N,classes]`, by the Keras original itself."""
        return np.asarray(self._context.source.model(batch, training=False), np.float32)


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


def count_nodes(content: bytes) -> dict[str, int]:
    """Nodes and parameters (elements of constant tensors: floats, 8-bit weights, biases) of a `.tflite` file."""
    import math

    require_package("ai_edge_litert", "LiteRT export")
    from ai_edge_litert import schema_py_generated as schema

    model = read_model(content)
    names = ("FLOAT32", "FLOAT16", "INT8", "INT32", "INT64")  # biases at w8a16 have 32 bits, or 64
    kinds = [getattr(schema.TensorType, name) for name in names]
    graph = model.subgraphs[0]
    constants = [t for t in graph.tensors if t.type in kinds and model.buffers[t.buffer].data is not None]
    return {"nodes": len(graph.operators), "parameters": sum(math.prod(t.shape) for t in constants if len(t.shape))}


def write_payload(
    folder: Path, data: bytes, *, quantization: Mapping[str, Any] | None = None, notes: tuple[str, ...] = ()
) -> Built:
    """Write the `.tflite` file into the artifact's folder.

    Args:
        folder: of the artifact.
        data: the file's bytes.
        quantization: how it was quantized, for the metadata; None for floats.
        notes: for a person.
    """
    (folder / PAYLOAD).write_bytes(data)
    return Built(PAYLOAD, quantization=quantization, graph=count_nodes(data), notes=notes)
