"""LiteRT at w8a16: 8-bit weights and 16-bit activations by ai-edge-quantizer, for models that lose too much at int8."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import numpy as np

from edge_fm_export.context import BuildContext, Built
from edge_fm_export.litert.bias_correction import correct_biases
from edge_fm_export.litert.converter_process import convert
from edge_fm_export.litert.fast_biases import shorten_biases
from edge_fm_export.litert.kept_float import float_notes, layers_of, operators_in_float
from edge_fm_export.litert.litert_format import CORRECTION_IMAGES, LADDER, write_payload
from edge_fm_export.litert.model_file import main_part, read_model
from edge_fm_export.litert.runner import predictor
from edge_fm_export.litert.static_quantizer import RECIPES, activation_ranges, quantize_static
from edge_fm_export.packages import require_package
from edge_fm_export.quantization.calibration import batches, require_calibration
from edge_fm_export.quantization.explanation.layer_names import LayerNames
from edge_fm_export.quantization.impossible_options import Requested, require_possible
from edge_fm_export.quantization.measures import Measure, Predict, select_measures
from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.errors import ExportError
from edge_fm_runtime.system.brief_errors import brief

_BITS: Final = 16


def build(context: BuildContext, folder: Path) -> Built:
    """Build the w8a16 artifact's `model.tflite`: uint8 pixels in, float32 probabilities out.

    Operators without a 16-bit kernel in ai-edge-quantizer stay in float: the artifact's notes and its metadata name
    them.

    Raises:
        ExportError: no calibration images, layers in float were requested, the model cannot be quantized, or LiteRT has
            no 16-bit kernel for an operator that was.
        MissingDependencyError: ai-edge-quantizer is not installed.
    """
    require_package("ai_edge_quantizer", "w8a16 for LiteRT")
    require_possible("litert", "w8a16", Requested.of(context))
    calibration = require_calibration(context, "w8a16")
    original = convert(context, "fp32", purpose="w8a16")
    trials: dict[tuple[Measure, ...], bytes] = {}

    def make(measures: tuple[Measure, ...]) -> Predict:
        if measures:
            images = batches(calibration.images[:CORRECTION_IMAGES], static=context.static_batch, size=8)
            trials[measures] = correct_biases(trials[()], original, images)
        else:
            images = batches(calibration.images, static=context.static_batch, size=1)
            count = len(calibration.images)
            ranges = activation_ranges(original, images, count=count, progress=context.progress)
            trials[()] = quantize_static(original, ranges, activation_bits=_BITS)
            _require_kernels(context, trials[()])
        # After the biases are corrected: sums must still be within 32 bits.
        return predictor(shorten_biases(trials[measures]))

    def keras(batch: Pixels) -> Probabilities:
        return np.asarray(context.source.model(batch, training=False), np.float32)

    selected = select_measures(context, LADDER, make, keras, further="--precision fp16 leaves all layers in float.")
    content = shorten_biases(trials[selected.measures])
    kept = operators_in_float(context, content)
    record = {
        "quantizer": "ai-edge-quantizer",
        "recipe": RECIPES[_BITS],
        "weights": "int8, symmetric, per channel",
        "activations": "int16, symmetric",
        "samples": len(calibration.images),
        "calibration_sha256": calibration.sha256,
        "seed": context.quantize.seed,
        "kept_float": layers_of(kept),
        **selected.record,
    }
    return write_payload(
        folder,
        content,
        quantization=record,
        notes=(*selected.notes, *float_notes(kept, why="ai-edge-quantizer has no 16-bit form")),
    )


def _require_kernels(context: BuildContext, content: bytes) -> None:
    """Raise unless LiteRT can run every operator of the quantized model."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        Interpreter(
            model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        ).allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise ExportError(
            f"LiteRT cannot run the model with 16-bit activations: {_failing_layer(context, content, brief(error))}",
            hint="Use --precision fp16, or int8 for ONNX or OpenVINO, which can leave layers in float.",
        ) from error


def _failing_layer(context: BuildContext, content: bytes, reason: str) -> str:
    """LiteRT's reason, with the layer of the operator that it gives the number of."""
    graph = read_model(content).subgraphs[0]
    number = re.search(r"Node number (\d+)", reason)
    if number is None or int(number[1]) >= len(graph.operators):
        return reason
    name = (graph.tensors[int(graph.operators[int(number[1])].outputs[0])].name or b"").decode("utf-8", "replace")
    return f"{reason} That is layer {LayerNames(context.source.model).of(main_part(name)) or name}."
