"""A LiteRT model in which one layer at a time computes as it does at int8, and the others in float."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.litert.layers.graph_editing import (
    add_constant,
    add_float,
    add_rounded,
    dequantized,
    is_rounded,
    make_operator,
    same_rounding,
)
from edge_fm_export.litert.layers.twins import ROUNDING, Twins, find_twins, scaled_pixels
from edge_fm_export.litert.model_file import constant, main_part, operator_name, read_model, write_model
from edge_fm_export.litert.runner import inner_runs, predictor
from edge_fm_export.quantization.calibration import batches
from edge_fm_export.quantization.explanation.channels import by_channel
from edge_fm_export.quantization.explanation.explain import PIXELS, SimulatedLayer
from edge_fm_export.quantization.explanation.layer_names import LayerNames
from edge_fm_export.quantization.measures import Predict
from edge_fm_export.quantization.steering import SteeringImages
from edge_fm_runtime.arrays import Floats

_BATCH = 8
_FOLLOW = ("RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU", "PRELU", "LOGISTIC", "SOFTMAX")
"""Activation functions; without a name of their own they belong to the layer before them."""
_SAME_VALUES = (
    "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "PAD", "PADV2", "MIRROR_PAD", "MAX_POOL_2D", "CONCATENATION",
    "SLICE", "STRIDED_SLICE", "SPLIT", "SPLIT_V", "PACK", "UNPACK", "GATHER", "TILE", "BROADCAST_TO",
    "RESIZE_NEAREST_NEIGHBOR", "SPACE_TO_DEPTH", "DEPTH_TO_SPACE", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND",
)  # fmt: skip
"""Operators that hand values on as they are: with the rounding of what they read, they round nothing more."""


@dataclass
class _Layer:
    """Operators of one Keras layer.

    Attributes:
        operators: places of its operators in the float file -> their kinds.
        weights: (place of an operator, place among its inputs) -> that constant as it is at int8, dequantized.
        outputs: index of a tensor of the float file that is quantized -> the tensor of the int8 file.
    """

    operators: dict[int, str] = field(default_factory=dict)
    weights: dict[tuple[int, int], npt.NDArray[np.float32]] = field(default_factory=dict)
    outputs: dict[int, Any] = field(default_factory=dict)


class LiteRTSimulation:
    """Quantizes one layer at a time; see `edge_fm_export.quantization.explanation.explain.Simulation`.

    Args:
        floats: the float `.tflite` file.
        quantized: the int8 one, whatever quantized it.
        names: of the Keras layers.
        static: a fixed batch size, or None for a free one.

    Raises:
        ArrangedOtherwiseError: the operators of one file are not those of the other.
    """

    def __init__(self, floats: bytes, quantized: bytes, names: LayerNames, static: int | None) -> None:
        self._floats, self._static = floats, static
        self._model, self._quantized = read_model(floats), read_model(quantized)
        self._twins = find_twins(self._quantized, self._model)
        self._rounded = _rounded(self._quantized, self._twins)
        self._layers = self._find_layers(names)
        self.layers = [
            SimulatedLayer(name, tuple(layer.operators.values()), self._weight_range(layer), bool(layer.outputs))
            for name, layer in self._layers.items()
        ]

    def operators_in_float(self, layers: Iterable[str]) -> frozenset[int]:
        """Places of the int8 file's operators that stay in float so that nothing of `layers` is quantized.

        These are the layers' own and what reads their outputs, through operators whose result has the rounding of what
        they read: there the range of the layer's output would come back.
        """
        inside = {
            place
            for place, twin in self._twins.operators.items()
            if any(twin in self._layers[name].operators for name in layers)
        }
        graph = self._quantized.subgraphs[0]
        waiting = [index for place in inside for index in map(int, graph.operators[place].outputs)]
        while waiting:
            tensor = waiting.pop()
            for place, operator in enumerate(graph.operators):
                if place in inside or tensor not in map(int, operator.inputs):
                    continue
                passed = same_rounding(graph.tensors[tensor], graph.tensors[int(operator.outputs[0])])
                if place in self._twins.operators:
                    inside.add(place)
                if passed or place not in self._twins.operators:
                    waiting += map(int, operator.outputs)
        return frozenset(inside)

    def predictor(self, layer: str, *, weights: bool = True, activations: bool = True) -> Predict:
        """Predict with `layer` quantized: its weights, its output, or both."""
        model, found = read_model(self._floats), self._layers[layer]
        graph = model.subgraphs[0]
        if weights:
            for (place, position), values in found.weights.items():
                operator = graph.operators[place]
                inputs = list(map(int, operator.inputs))
                inputs[position] = add_constant(model, f"int8/{position}", values, graph.tensors[inputs[position]])
                operator.inputs = inputs
        if activations:
            operators = []
            for operator in graph.operators:
                operators.append(operator)
                for index in map(int, operator.outputs):
                    if index in found.outputs:
                        operators += _rounding(model, operator, index, found.outputs[index])
            graph.operators = operators
        return predictor(write_model(model))

    def channel_ranges(self, images: SteeringImages) -> Mapping[str, tuple[Floats, Floats]]:
        """Smallest and largest value of each channel of the layers' outputs, float32 `[channels]`, by layer."""
        last = {name: next(reversed(layer.outputs)) for name, layer in self._layers.items() if layer.outputs}
        ranges: dict[str, tuple[Floats, Floats]] = {}
        cut = batches(images.images, static=self._static, size=_BATCH)
        for _, runner in inner_runs(self._floats, cut):
            for name, index in last.items():
                low, high = by_channel(runner.get_tensor(index), last=True)
                if name in ranges:
                    low, high = np.minimum(low, ranges[name][0]), np.maximum(high, ranges[name][1])
                ranges[name] = low, high
        return ranges

    def _find_layers(self, names: LayerNames) -> dict[str, _Layer]:
        graph, pixels = self._model.subgraphs[0], scaled_pixels(self._model)
        twins = {twin: place for place, twin in self._twins.operators.items()}
        layers: dict[str, _Layer] = {}
        makers: dict[int, str] = {}
        for place, operator in enumerate(graph.operators):
            kind, outputs = operator_name(self._model, operator), list(map(int, operator.outputs))
            tensor = graph.tensors[outputs[0]].name.decode()
            before = makers.get(int(operator.inputs[0]))
            own = names.of(main_part(tensor)) or self._named_by_weights(operator, names)
            if outputs[0] in pixels:
                own = PIXELS
            elif before is not None and kind in _FOLLOW and (own is None or kind.startswith("RELU")):
                own = before
            name = own or tensor.partition(";")[0].removesuffix(":0")
            makers.update(dict.fromkeys(outputs, name))
            if place not in twins:
                continue
            layer = layers.setdefault(name, _Layer())
            layer.operators[place] = kind
            layer.weights |= self._int8_weights(place, twins[place])
            layer.outputs |= {index: self._rounded[index] for index in outputs if index in self._rounded}
            source = self._rounded.get(int(operator.inputs[0]))
            if kind in _SAME_VALUES and source is not None:
                for index in outputs:
                    if index in layer.outputs and same_rounding(source, layer.outputs[index]):
                        del layer.outputs[index]
        return {name: layer for name, layer in layers.items() if layer.weights or layer.outputs}

    def _named_by_weights(self, operator: Any, names: LayerNames) -> str | None:
        """The layer that has an operator's weights; converters leave some operators without its name."""
        for index in map(int, operator.inputs[1:]):
            values = None if index < 0 else constant(self._model, self._model.subgraphs[0].tensors[index])
            if values is not None and values.dtype == np.float32 and values.ndim > 1:
                return names.by_weights(values)
        return None

    def _int8_weights(self, place: int, small: int) -> dict[tuple[int, int], npt.NDArray[np.float32]]:
        """The constants of an operator that are integers in the int8 file, as floats."""
        operator, twin = self._model.subgraphs[0].operators[place], self._quantized.subgraphs[0].operators[small]
        found = {}
        for position, (mine, theirs) in enumerate(zip(operator.inputs, twin.inputs, strict=False)):
            if mine < 0 or theirs < 0:
                continue
            tensor = self._quantized.subgraphs[0].tensors[theirs]
            before = constant(self._model, self._model.subgraphs[0].tensors[mine])
            after = constant(self._quantized, tensor)
            if before is None or after is None or before.dtype != np.float32 or after.dtype != np.int8:
                continue
            found[place, position] = dequantized(tensor, after).reshape(before.shape)
        return found

    def _weight_range(self, layer: _Layer) -> tuple[float, float] | None:
        graph = self._model.subgraphs[0]
        values = [
            constant(self._model, graph.tensors[graph.operators[place].inputs[position]])
            for place, position in layer.weights
        ]
        there = [v for v in values if v is not None]
        return (float(min(v.min() for v in there)), float(max(v.max() for v in there))) if there else None


def _rounded(quantized: Any, twins: Twins) -> dict[int, Any]:
    """Tensors of the float file, by index -> the tensor of the int8 file in whose integers they are."""
    graph = quantized.subgraphs[0]
    pixels = {int(graph.inputs[0])}
    for operator in graph.operators:  # pixels that are 8-bit values as they are lose nothing
        inputs, outputs = list(map(int, operator.inputs)), list(map(int, operator.outputs))
        kind = operator_name(quantized, operator)
        if inputs[0] in pixels and (kind in ROUNDING or kind in _SAME_VALUES):
            pixels.update(outputs)
    found: dict[int, Any] = {}
    for index, twin in twins.tensors.items():
        if index not in pixels and is_rounded(graph.tensors[index]):
            found.setdefault(twin, graph.tensors[index])
    return found


def _rounding(model: Any, operator: Any, index: int, rounding: Any) -> list[Any]:
    """Round a result of `operator`: the tensor `index` gets the rounded values, and its readers with it."""
    like = model.subgraphs[0].tensors[index]
    before, between = add_float(model, f"float/{index}", like), add_rounded(model, f"int8/{index}", like, rounding)
    operator.outputs = [before if int(output) == index else int(output) for output in operator.outputs]
    return [make_operator(model, "QUANTIZE", before, between), make_operator(model, "DEQUANTIZE", between, index)]
