"""The operators of a quantized `.tflite` file that compute in float, for want of an integer form: never unsaid."""

from __future__ import annotations

from edge_fm_export.context import BuildContext
from edge_fm_export.litert.model_file import main_part, operator_name, read_model
from edge_fm_export.quantization.explanation.layer_names import LayerNames

_CONVERSIONS = ("CAST", "QUANTIZE", "DEQUANTIZE", "SHAPE")
"""Operators that compute nothing in float themselves."""
_NAMED = 3
"""How many layers of a kind a note names; the metadata have all."""


def float_operators(model: bytes) -> list[tuple[str, str]]:
    """The operators of a quantized model that compute in float: their kinds, and the names of their results."""
    from ai_edge_litert import schema_py_generated as schema

    content = read_model(model)
    found = []
    for graph in content.subgraphs:
        for operator in graph.operators:
            kind = operator_name(content, operator)
            used = [graph.tensors[int(i)] for i in (*operator.inputs, *operator.outputs) if i >= 0]
            if kind not in _CONVERSIONS and any(tensor.type == schema.TensorType.FLOAT32 for tensor in used):
                name = (graph.tensors[int(operator.outputs[0])].name or b"").decode("utf-8", "replace")
                found.append((kind, name))
    return found


def operators_in_float(context: BuildContext, content: bytes) -> dict[str, list[str]]:
    """The kinds of the operators that compute in float -> the layers of the Keras model that have them, each once."""
    names = LayerNames(context.source.model)
    kept: dict[str, dict[str, None]] = {}
    for kind, result in float_operators(content):
        kept.setdefault(kind, {})[names.of(main_part(result)) or result] = None
    return {kind: list(layers) for kind, layers in kept.items()}


def layers_of(kept: dict[str, list[str]]) -> list[str]:
    """All layers of `operators_in_float`, each once."""
    return sorted({layer for layers in kept.values() for layer in layers})


def float_notes(kept: dict[str, list[str]], *, why: str) -> tuple[str, ...]:
    """For a person: which operators compute in float, in one sentence; nothing where none does.

    Args:
        kept: as from `operators_in_float`.
        why: such as "ai-edge-quantizer has no 16-bit form".
    """
    parts = []
    for kind, layers in kept.items():
        more = f" and {len(layers) - _NAMED} more" if len(layers) > _NAMED else ""
        parts.append(f"{kind} in {', '.join(layers[:_NAMED])}{more}")
    return (f"Computed in float, since {why} of these operators: {'; '.join(parts)}.",) if parts else ()
