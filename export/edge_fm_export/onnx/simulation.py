"""An ONNX model in which one layer at a time computes as it does at int8, and the others in float."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.onnx.corrections.extended_graph import run_extended
from edge_fm_export.onnx.int8_rewrites import unquantize_logits
from edge_fm_export.onnx.quantizable_nodes import COMPUTE, FOLLOW, GraphView, scaling_nodes
from edge_fm_export.quantization.calibration import batches
from edge_fm_export.quantization.explanation.channels import by_channel
from edge_fm_export.quantization.explanation.explain import PIXELS, SimulatedLayer
from edge_fm_export.quantization.explanation.layer_names import LayerNames
from edge_fm_export.quantization.measures import Predict
from edge_fm_export.quantization.steering import SteeringImages
from edge_fm_runtime.arrays import Floats, Pixels, Probabilities

_BATCH = 8
"""Every activation of a batch is in memory at once."""


@dataclass
class _Layer:
    """Nodes of one Keras layer.

    Attributes:
        nodes: names of its nodes in the float model.
        operators: their types.
        weights: name of a node that computes with weights -> its weights as they are at int8, dequantized.
        outputs: activation that is quantized -> names of its scale and zero point.
    """

    nodes: list[str] = field(default_factory=list)
    operators: list[str] = field(default_factory=list)
    weights: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    outputs: dict[str, tuple[str, str]] = field(default_factory=dict)


class OnnxSimulation:
    """Quantizes one layer at a time; see `edge_fm_export.quantization.explanation.explain.Simulation`.

    Args:
        prepared: the float model.
        quantized: what ONNX Runtime's quantizer made of it, with the quantizer's own names.
        names: of the Keras layers.
        static: a fixed batch size, or None for a free one.
    """

    def __init__(self, prepared: Path, quantized: Path, names: LayerNames, static: int | None) -> None:
        import onnx

        self._model, self._static = onnx.load(prepared), static
        small = onnx.load(quantized)
        unquantize_logits(small.graph)
        self._view, self._quantized = GraphView(self._model.graph), GraphView(small.graph)
        self._layers = self._find_layers(names)
        self.layers = [
            SimulatedLayer(name, tuple(layer.operators), self._weight_range(layer), bool(layer.outputs))
            for name, layer in self._layers.items()
        ]

    @property
    def nodes(self) -> list[str]:
        """Names of the float model's nodes, in the graph's order."""
        return [node.name for node in self._model.graph.node]

    def nodes_in_float(self, layers: frozenset[str]) -> frozenset[str]:
        """Names of the nodes that stay in float so that neither weights nor outputs of `layers` are quantized."""
        kept: set[str] = set()
        for name in layers:
            layer = self._layers[name]
            kept.update(layer.nodes)
            for tensor in layer.outputs:
                kept.update(reader.name for reader in self._view.readers.get(tensor, []))
        return frozenset(kept)

    def predictor(self, layer: str, *, weights: bool = True, activations: bool = True) -> Predict:
        """Predict with `layer` quantized: its weights, its output, or both."""
        import onnx
        import onnxruntime as ort
        from onnx import numpy_helper

        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        graph, found = model.graph, self._layers[layer]
        if weights:
            for node in graph.node:
                if node.name in found.weights:
                    node.input[1] = f"{node.name}/int8 weights"
                    graph.initializer.append(numpy_helper.from_array(found.weights[node.name], node.input[1]))
        if activations:
            for tensor, (scale, zero_point) in found.outputs.items():
                self._quantize(graph, tensor, scale, zero_point)
        options = ort.SessionOptions()
        options.log_severity_level = 4  # errors are raised
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name

        def predict(batch: Pixels) -> Probabilities:
            return np.asarray(session.run(None, {name: batch})[0], dtype=np.float32)

        return predict

    def channel_ranges(self, images: SteeringImages) -> Mapping[str, tuple[Floats, Floats]]:
        """Smallest and largest value of each channel of the layers' outputs, float32 `[channels]`, by layer."""
        import onnx

        last = {name: next(reversed(layer.outputs)) for name, layer in self._layers.items() if layer.outputs}
        tensors = list(dict.fromkeys(last.values()))
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        there = {output.name for output in model.graph.output}
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors if name not in there)
        ranges: dict[str, tuple[Floats, Floats]] = {}
        cut = batches(images.images, static=self._static, size=_BATCH)
        for _, values in run_extended(model, tensors, cut):
            for tensor, value in zip(tensors, values, strict=True):
                low, high = by_channel(value)
                if tensor in ranges:
                    low, high = np.minimum(low, ranges[tensor][0]), np.maximum(high, ranges[tensor][1])
                ranges[tensor] = low, high
        return {name: ranges[tensor] for name, tensor in last.items()}

    def _find_layers(self, names: LayerNames) -> dict[str, _Layer]:
        layers: dict[str, _Layer] = {}
        followers: dict[str, str] = {}
        scaling = scaling_nodes(self._model.graph)
        for node in self._model.graph.node:
            data = self._view.data(node)
            if node.name in scaling:
                name = PIXELS
            elif node.op_type in FOLLOW and data and data[0] in followers:
                name = followers[data[0]]
            else:
                name = names.of(node.name) or names.of(self._weights_name(node)) or node.name
            followers.update(dict.fromkeys(node.output, name))
            layer = _Layer()
            weights = self._int8_weights(node)
            if weights is not None:
                layer.weights[node.name] = weights
            for tensor in node.output:
                if (pair := self._quantized_output(tensor)) is not None:
                    layer.outputs[tensor] = pair
            known = layers.setdefault(name, _Layer())
            known.nodes.append(node.name)
            known.operators.append(node.op_type)
            known.weights |= layer.weights
            known.outputs |= layer.outputs
        return {name: layer for name, layer in layers.items() if layer.weights or layer.outputs}

    def _weights_name(self, node: Any) -> str:
        """The name of a node's weights; tf2onnx names the convolution that it fuses first "Conv", after no layer."""
        weighted = node.op_type in COMPUTE and node.input[1] in self._view.constants
        return str(node.input[1]) if weighted else ""

    def _quantized_output(self, tensor: str) -> tuple[str, str] | None:
        """Names of scale and zero point where the activation `tensor` is quantized."""
        for reader in self._quantized.readers.get(tensor, []):
            if reader.op_type == "QuantizeLinear" and reader.input[0] == tensor:
                return reader.input[1], reader.input[2]
        return None

    def _int8_weights(self, node: Any) -> npt.NDArray[np.float32] | None:
        """The weights of a node as the quantized model has them, as floats; None where they stay in float."""
        from onnx import numpy_helper

        if node.op_type not in COMPUTE or node.input[1] not in self._view.constants:
            return None
        twin = next((n for n in self._quantized.graph.node if n.name == node.name), None)
        maker = None if twin is None else self._quantized.maker.get(twin.input[1])
        if maker is None or maker.op_type != "DequantizeLinear":
            return None
        values, scale, zero_point = (numpy_helper.to_array(self._quantized.constants[name]) for name in maker.input)
        axis = next((attribute.i for attribute in maker.attribute if attribute.name == "axis"), 1)
        shape = [1] * values.ndim
        if scale.ndim:
            shape[axis] = -1
        real = (values.astype(np.float32) - zero_point.astype(np.float32).reshape(shape)) * scale.reshape(shape)
        return np.asarray(real, np.float32)

    def _weight_range(self, layer: _Layer) -> tuple[float, float] | None:
        from onnx import numpy_helper

        constants = [
            numpy_helper.to_array(self._view.constants[node.input[1]])
            for node in self._model.graph.node
            if node.name in layer.weights
        ]
        if not constants:
            return None
        return float(min(c.min() for c in constants)), float(max(c.max() for c in constants))

    def _quantize(self, graph: Any, tensor: str, scale: str, zero_point: str) -> None:
        """Let everything that reads `tensor` read its 8-bit version."""
        import onnx

        for name in (scale, zero_point):
            if not any(constant.name == f"int8 {name}" for constant in graph.initializer):
                constant = graph.initializer.add()
                constant.CopyFrom(self._quantized.constants[name])
                constant.name = f"int8 {name}"
        constants = [f"int8 {scale}", f"int8 {zero_point}"]
        rounded, result = f"{tensor}/int8", f"{tensor}/dequantized"
        for node in graph.node:
            for place, name in enumerate(node.input):
                if name == tensor:
                    node.input[place] = result
        pair = (
            onnx.helper.make_node("QuantizeLinear", [tensor, *constants], [rounded]),
            onnx.helper.make_node("DequantizeLinear", [rounded, *constants], [result]),
        )
        nodes = list(_inserted(graph, tensor, pair))
        copies = [onnx.NodeProto() for _ in nodes]
        for copy, node in zip(copies, nodes, strict=True):
            copy.CopyFrom(node)
        del graph.node[:]
        graph.node.extend(copies)


def _inserted(graph: Any, tensor: str, pair: tuple[Any, ...]) -> Iterator[Any]:
    """The graph's nodes with `pair` after the one that makes `tensor`, or before all where that is an input."""
    if any(given.name == tensor for given in graph.input):
        yield from pair
    for node in graph.node:
        yield node
        if tensor in node.output:
            yield from pair
