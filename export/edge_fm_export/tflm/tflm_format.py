"""TensorFlow Lite Micro: a full-integer model for microcontrollers, as a C array and what a program needs to run it."""

from __future__ import annotations

from pathlib import Path

from edge_fm_export.context import BuildContext, Built
from edge_fm_export.litert.fixed_shapes import fix_shapes
from edge_fm_export.litert.litert_format import count_nodes, quantize_int8
from edge_fm_export.litert.model_file import read_model
from edge_fm_export.quantization.explanation.layer_names import LayerNames
from edge_fm_export.tflm.arena import find_arena_bytes
from edge_fm_export.tflm.boards import find_board, require_fit
from edge_fm_export.tflm.micro_model import MicroModel, TensorSpec, micro_model
from edge_fm_export.tflm.operators import require_operators
from edge_fm_export.tflm.sources import TFLM_COMMIT, GoldenCase, sources
from edge_fm_runtime.artifacts.golden import GOLDEN_FILE, load_golden
from edge_fm_runtime.artifacts.metadata import Metadata

PAYLOAD = "model.tflite"


def build_int8(context: BuildContext, folder: Path) -> Built:
    """Build the artifact's `model.tflite`: one image, int8 in and out; the C++ sources are written after its gate.

    Raises:
        ExportError: no calibration images, TFLM lacks an operator, or the model does not fit the board.
    """
    quantized = quantize_int8(context, layers_in_float=False)
    content = fix_shapes(quantized.content)
    require_operators(read_model(content), context.source.model)
    micro = micro_model(content)
    (folder / PAYLOAD).write_bytes(micro.content)
    arena_bytes = _arena_bytes(context, micro, folder / PAYLOAD)
    if context.board is not None:
        require_fit(find_board(context.board), model_bytes=len(micro.content), arena_bytes=arena_bytes)
    record = {
        **quantized.record,
        "input": {"scale": micro.input.scale, "zero_point": micro.input.zero_point},
        "output": {"scale": micro.output.scale, "zero_point": micro.output.zero_point},
    }
    graph = {
        **count_nodes(micro.content),
        "model_bytes": len(micro.content),
        "arena_bytes": arena_bytes,
        "operators": list(micro.operators),
        "tflm_commit": TFLM_COMMIT,
    }
    return Built(PAYLOAD, quantization=record, graph=graph, notes=quantized.notes)


def embed(payload: Path, text: str, metadata: Metadata) -> None:
    """Leave the model as it is: a copy of the metadata would take flash on the device and serve nothing there."""


def finish(context: BuildContext, folder: Path, metadata: Metadata) -> None:
    """Write the C++ sources beside the model, with what it predicted in TFLM's interpreter.

    Args:
        context: of the export.
        folder: of the artifact, with its payload and its golden predictions.
        metadata: as `build_int8` made it.
    """
    golden = load_golden(folder / GOLDEN_FILE)
    graph, quantization = metadata.graph or {}, metadata.quantization or {}
    texts = sources(
        (folder / metadata.payload).read_bytes(),
        metadata,
        TensorSpec(**quantization["input"]),
        TensorSpec(**quantization["output"]),
        operators=tuple(graph["operators"]),
        arena_bytes=graph["arena_bytes"],
        golden=GoldenCase(golden.images, golden.exported),
    )
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="ascii")


def _arena_bytes(context: BuildContext, micro: MicroModel, payload: Path) -> int:
    names = LayerNames(context.source.model)
    layers = [names.of(layer) or layer for layer in micro.layers]
    return find_arena_bytes(payload, at_least=micro.largest_step_bytes, layers=layers, progress=context.progress)
