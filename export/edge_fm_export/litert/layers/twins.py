"""Which operators and tensors of an int8 `.tflite` file are which of its float one, whatever quantized it.

By the graphs themselves: an operator of the int8 file is the one of the same kind that reads the same tensors in the
float file. Names decide only between operators of which that is equally true.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge_fm_export.litert.model_file import consumers, operator_name
from edge_fm_runtime.errors import ExportError

ROUNDING = ("QUANTIZE", "DEQUANTIZE")
SCALING = ("CAST", "MUL", "ADD", "SUB")
"""Operators that scale the pixels."""


@dataclass(frozen=True)
class Twins:
    """What of the int8 file is what of the float file.

    Attributes:
        operators: place of an operator of the int8 file -> place of the same one in the float file. Those that quantize
            and dequantize have none.
        tensors: index of a computed tensor of the int8 file -> index of the tensor of the float file whose values it
            has, quantized or not.
    """

    operators: dict[int, int]
    tensors: dict[int, int]


class ArrangedOtherwiseError(ExportError):
    """The operators of the int8 file are not those of the float file."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The layers of LiteRT's int8 model cannot be found in the float model: {reason}.",
            hint="Leave out --keep-float for this format, or use --format onnx or openvino.",
        )


def find_twins(quantized: Any, floats: Any) -> Twins:
    """Find the operators and tensors of `quantized` in `floats`; both are models as objects (`read_model`).

    Raises:
        ArrangedOtherwiseError: an operator has no counterpart.
    """
    small, graph = quantized.subgraphs[0], floats.subgraphs[0]
    if len(quantized.subgraphs) != 1 or len(floats.subgraphs) != 1:
        raise ArrangedOtherwiseError("they have control flow, such as a recurrent layer that is not unrolled")
    waiting: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for place, operator in enumerate(graph.operators):
        key = operator_name(floats, operator), tuple(_computed(floats, operator))
        waiting.setdefault(key, []).append(place)
    operators: dict[int, int] = {}
    tensors = {int(a): int(b) for a, b in zip(small.inputs, graph.inputs, strict=True)}
    pixels = scaled_pixels(floats)
    for place, operator in enumerate(small.operators):
        kind, inputs = operator_name(quantized, operator), _computed(quantized, operator)
        outputs = [int(index) for index in operator.outputs]
        if kind in ROUNDING:
            # Where the scaling is in the quantization of the input, its result is what the pixels are quantized to.
            folded = inputs == [int(small.inputs[0])]
            tensors.update(dict.fromkeys(outputs, pixels[-1] if folded else tensors[inputs[0]]))
            continue
        found = waiting.get((kind, tuple(tensors[index] for index in inputs)), [])
        if not found:
            name = small.tensors[outputs[0]].name.decode()
            raise ArrangedOtherwiseError(f"it has no {kind} that reads what {name!r} reads")
        own = small.tensors[outputs[0]].name
        twin = next((p for p in found if graph.tensors[graph.operators[p].outputs[0]].name == own), found[0])
        found.remove(twin)
        operators[place] = twin
        tensors.update(zip(outputs, map(int, graph.operators[twin].outputs), strict=True))
    return Twins(operators, tensors)


def scaled_pixels(floats: Any) -> list[int]:
    """The input of a float model, and the tensors after each operator that scales it, by their indices."""
    graph = floats.subgraphs[0]
    found = [int(graph.inputs[0])]
    while True:
        readers = [o for o in consumers(graph, found[-1]) if operator_name(floats, o) != "SHAPE"]
        if len(readers) != 1 or operator_name(floats, readers[0]) not in SCALING:
            return found
        if _computed(floats, readers[0]) != found[-1:]:
            return found
        found.append(int(readers[0].outputs[0]))


def is_constant(model: Any, index: int) -> bool:
    """Whether a tensor of the first subgraph has its values in the file."""
    data = model.buffers[model.subgraphs[0].tensors[index].buffer].data
    return data is not None and len(data) > 0


def _computed(model: Any, operator: Any) -> list[int]:
    """What an operator reads that is not in the file."""
    return [int(index) for index in operator.inputs if index >= 0 and not is_constant(model, int(index))]
