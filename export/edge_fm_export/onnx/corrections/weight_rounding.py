"""Round the weights of an ONNX model's layers so that the layers' outputs stay close."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_fm_export.onnx.corrections.extended_graph import run_extended
from edge_fm_export.onnx.quantizable_nodes import COMPUTE, GraphView
from edge_fm_export.quantization.layer_inputs import (
    Geometry,
    Inputs,
    Values,
    convolution_inputs,
    dense_inputs,
    outputs_drawn,
)
from edge_fm_export.quantization.weight_rounding import MOST_INPUTS, round_layer
from edge_fm_runtime.arrays import Pixels


@dataclass(frozen=True)
class _Layer:
    """A convolution or dense layer of the float model.

    Attributes:
        node: of the graph.
        attributes: of the node, by their names.
        weights: float, as the node has them.
    """

    node: Any
    attributes: dict[str, Any]
    weights: Values

    @property
    def groups(self) -> int:
        return int(self.attributes.get("group", 1))

    def rows(self, values: Values) -> Values:
        """Values of the shape of the weights as `[G,O,N]`: groups, outputs of one, weights of an output."""
        if self.node.op_type == "Conv":
            return values.reshape(self.groups, len(values) // self.groups, -1)
        return (values if self.attributes.get("transB") else values.T)[None]

    def restored(self, rows: Values) -> Values:
        """The inverse of `rows`."""
        if self.node.op_type == "Conv":
            return rows.reshape(self.weights.shape)
        values: Values = rows[0]
        return values if self.attributes.get("transB") else values.T

    def inputs(self, activation: Values, count: int, generator: np.random.Generator) -> Values:
        """What at most `count` of the outputs, drawn at random, are computed of: `[G,samples,N]`."""
        if self.node.op_type != "Conv":
            return dense_inputs(activation, count, generator)
        sides = self.weights.shape[2:]
        pads = self.attributes.get("pads", [0] * 2 * len(sides))
        geometry = Geometry(
            sides=sides,
            strides=self.attributes.get("strides", [1] * len(sides)),
            dilations=self.attributes.get("dilations", [1] * len(sides)),
            pads_begin=pads[: len(sides)],
            pads_end=pads[len(sides) :],
            groups=self.groups,
        )
        return convolution_inputs(activation, geometry, count, generator)


class OutputRounding:
    """Rounds the weights of what is quantized of one float model; each layer's integers are found once.

    Args:
        prepared: the float `ModelProto`; stays as it is.
        batches: gives calibration images, uint8 `[N,H,W,C]`, from the start at each call.
        images: how many these are.
        seed: of the positions that are looked at.
    """

    def __init__(self, prepared: Any, batches: Callable[[], Iterator[Pixels]], images: int, seed: int) -> None:
        self._prepared, self._batches, self._images, self._seed = prepared, batches, images, seed
        self._layers = {layer.node.name: layer for layer in _layers(prepared)}
        self._inputs: dict[str, Inputs] | None = None
        self._found: dict[str, Values | None] = {}

    def apply(self, quantized: Any) -> str:
        """Give the layers of the QDQ `ModelProto`, its nodes named as in the float one, the integers that keep outputs.

        Layers of more than `MOST_INPUTS` weights an output, those whose inputs overflow or whose weights several nodes
        read, and transposed convolutions stay as they are.

        Returns:
            how weights are rounded then: "GPTQ", "nearest" or "nearest and GPTQ".
        """
        from onnx import numpy_helper

        view = GraphView(quantized.graph)
        twins = {node.name: node for node in quantized.graph.node}
        ways = set()
        for node in self._prepared.graph.node:
            stored = _integers(view, twins.get(node.name)) if node.op_type in COMPUTE else None
            if stored is None:
                continue
            name, nearest, scales = stored
            layer = self._layers.get(node.name)
            known = layer is not None and layer.weights.shape == nearest.shape
            steps = self._rounded(self._layers[node.name], nearest, scales) if known else None
            ways.add("nearest" if steps is None else "GPTQ")
            if steps is not None:
                view.constants[name].CopyFrom(numpy_helper.from_array(steps, name))
        return " and ".join(sorted(ways, reverse=True)) or "nearest"

    def _rounded(self, layer: _Layer, nearest: Values, scales: Values) -> Values | None:
        """The integers of a layer, int8 in the shape of its weights; None where they cannot be told."""
        name = layer.node.name
        if name not in self._found:
            if self._inputs is None:
                layers = list(self._layers.values())
                self._inputs = _layer_inputs(self._prepared, layers, self._batches(), self._images, self._seed)
            read = self._inputs.pop(name)  # it may take more memory than the layer
            rows = [layer.rows(values) for values in (layer.weights, np.broadcast_to(scales, nearest.shape), nearest)]
            steps = round_layer(rows[0], rows[1], rows[2], read)
            self._found[name] = (
                None if steps is None else np.ascontiguousarray(layer.restored(steps).astype(nearest.dtype))
            )
        return self._found[name]


def _integers(view: GraphView, node: Any) -> tuple[str, Values, Values] | None:
    """Name and values of the 8-bit weights of a node, and their scales, which broadcast; None where it has none."""
    from onnx import numpy_helper

    maker = None if node is None else view.maker.get(node.input[1])
    if maker is None or maker.op_type != "DequantizeLinear" or maker.input[0] not in view.constants:
        return None
    values, scales = (numpy_helper.to_array(view.constants[name]) for name in maker.input[:2])
    axis = next((int(a.i) for a in maker.attribute if a.name == "axis"), 1) % max(values.ndim, 1)
    if scales.ndim:
        scales = scales.reshape([-1 if side == axis else 1 for side in range(values.ndim)])
    return maker.input[0], values, scales


def _layer_inputs(
    prepared: Any, layers: Sequence[_Layer], batches: Iterator[Pixels], images: int, seed: int
) -> dict[str, Inputs]:
    """What layers of the float `ModelProto` read, by the names of their nodes."""
    import onnx

    extended = onnx.ModelProto()
    extended.CopyFrom(prepared)
    present = {output.name for output in extended.graph.output}
    names = list(dict.fromkeys(layer.node.input[0] for layer in layers))
    for name in names:
        if name not in present:
            extended.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    generator = np.random.default_rng(seed)
    found = {layer.node.name: Inputs() for layer in layers}
    for size, values in run_extended(extended, names, batches, np.float32):
        read = dict(zip(names, values, strict=True))
        count = outputs_drawn(size, images)
        for layer in layers:
            found[layer.node.name].add(layer.inputs(read[layer.node.input[0]], count, generator))
    return found


def _layers(prepared: Any) -> list[_Layer]:
    """The layers whose inputs can be told, with weights of their own."""
    import onnx
    from onnx import numpy_helper

    view = GraphView(prepared.graph)
    found = []
    for node in prepared.graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul") or view.data(node) != [node.input[0]]:
            continue
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        weights = numpy_helper.to_array(view.constants[node.input[1]])
        dense = node.op_type != "Conv"
        if len(view.readers[node.input[1]]) > 1 or weights.dtype != np.float32 or attributes.get("transA"):
            continue
        if (dense and weights.ndim != 2) or attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            continue
        layer = _Layer(node, attributes, weights)
        if layer.rows(weights).shape[2] <= MOST_INPUTS:
            found.append(layer)
    return found
