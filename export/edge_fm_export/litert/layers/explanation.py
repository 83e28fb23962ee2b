"""What LiteRT's int8 does to each layer, and layers in float; both on the level of the two files, float and int8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_fm_export.context import BuildContext
from edge_fm_export.litert.layers.float_layers import leave_in_float
from edge_fm_export.litert.layers.simulation import LiteRTSimulation
from edge_fm_export.litert.layers.twins import ArrangedOtherwiseError
from edge_fm_export.litert.runner import predictor
from edge_fm_export.quantization.explanation.explain import Quantized, explain
from edge_fm_export.quantization.explanation.explanation import Explanation
from edge_fm_export.quantization.explanation.layer_names import LayerNames, require_layers


def with_float_layers(context: BuildContext, quantized: bytes, floats: bytes, layers: Sequence[str]) -> bytes:
    """The int8 model with `layers` in float, with what reads their outputs.

    Args:
        context: of the export.
        quantized: the int8 `.tflite` file.
        floats: the float one of the same model.
        layers: names in the Keras model.

    Raises:
        ExportError: there is no such layer, it is in float anyway, no other is left to quantize, or the files are
            arranged differently.
    """
    if not layers:
        return quantized
    simulation = _simulation(context, quantized, floats)
    require_layers(layers, [layer.name for layer in simulation.layers])
    return leave_in_float(quantized, floats, simulation.operators_in_float(layers))


def explain_int8(
    context: BuildContext, quantized: bytes, floats: bytes, record: Mapping[str, Any], built: Path, built_bytes: int
) -> Explanation | None:
    """Explain an int8 model; None where its operators are not those of the float one, so that nothing can be compared.

    Args:
        context: of the export.
        quantized: the int8 `.tflite` file.
        floats: the float one of the same model.
        record: what was recorded of its quantization.
        built: the payload of the artifact, which has metadata beside `quantized`.
        built_bytes: its size before they were embedded.
    """
    try:
        simulation = _simulation(context, quantized, floats)
    except ArrangedOtherwiseError:
        return None

    def build(layers: Sequence[str]) -> Path:
        path = context.scratch / f"int8-explained-{len(layers)}.tflite"
        path.write_bytes(leave_in_float(quantized, floats, simulation.operators_in_float(layers)))
        return path

    tried = record.get("measures_tried")
    return explain(
        context,
        Quantized(
            original=predictor(floats),
            simulation=simulation,
            equalized=None,
            built=built,
            built_bytes=built_bytes,
            build=build,
            run=lambda path: predictor(path.read_bytes()),
            size=lambda path: path.stat().st_size,
            measures=tuple(record.get("measures", ())),
            plain_drop_points=tried[0]["drop_points"] if tried else None,
        ),
    )


def _simulation(context: BuildContext, quantized: bytes, floats: bytes) -> LiteRTSimulation:
    return LiteRTSimulation(floats, quantized, LayerNames(context.source.model), context.static_batch)
