"""An OpenVINO model in which one layer at a time computes as it does at int8, and the others in float."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.openvino.ir_float_layers import CONVOLUTION, LAYERS
from edge_fm_export.quantization.calibration import batches
from edge_fm_export.quantization.explanation.channels import by_channel
from edge_fm_export.quantization.explanation.explain import SimulatedLayer
from edge_fm_export.quantization.explanation.layer_names import LayerNames
from edge_fm_export.quantization.measures import Predict
from edge_fm_export.quantization.steering import SteeringImages
from edge_fm_runtime.arrays import Floats, Pixels, Probabilities

_BATCH = 8
_NOT_LAYERS = ("Parameter", "Constant", "Result", "Convert", "ShapeOf")
_FOLLOW = ("Relu", "Clamp", "PRelu")
"""Activation functions; they belong to the layer before them."""


@dataclass
class _Layer:
    """Operations of one Keras layer.

    Attributes:
        operations: names of its operations in the float model.
        operators: their types.
        weights: name of an operation with weights -> its weights as they are at int8, dequantized.
        outputs: name of an operation whose output is quantized -> the FakeQuantize's four limits and its levels.
    """

    operations: list[str] = field(default_factory=list)
    operators: list[str] = field(default_factory=list)
    weights: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    outputs: dict[str, tuple[list[npt.NDArray[np.float32]], int]] = field(default_factory=dict)


class OpenVINOSimulation:
    """Quantizes one layer at a time; see `edge_fm_export.quantization.explanation.explain.Simulation`.

    Args:
        model: the float model (openvino.Model).
        quantized: what NNCF made of it.
        names: of the Keras layers.
        static: a fixed batch size, or None for a free one.
        run: compiles a model into a function from pixels to its first output, exact.
    """

    def __init__(
        self, model: Any, quantized: Any, names: LayerNames, static: int | None, run: Callable[[Any], Predict]
    ) -> None:
        self._model, self._static, self._run = model, static, run
        self._twins = {operation.get_friendly_name(): operation for operation in quantized.get_ordered_ops()}
        self._rounded = {
            operation.input_value(0).get_node().get_friendly_name(): operation
            for operation in quantized.get_ordered_ops()
            if operation.get_type_name() == "FakeQuantize"
        }
        self._layers = self._find_layers(names)
        self.layers = [
            SimulatedLayer(name, tuple(layer.operators), self._weight_range(layer), bool(layer.outputs))
            for name, layer in self._layers.items()
        ]

    def operations_in_float(self, layers: frozenset[str]) -> list[str]:
        """Names of the operations that stay in float so that neither weights nor outputs of `layers` are quantized."""
        kept: dict[str, None] = {}
        operations = {op.get_friendly_name(): op for op in self._model.get_ordered_ops()}
        for name in layers:
            layer = self._layers[name]
            kept |= dict.fromkeys(layer.operations)
            for output in layer.outputs:
                targets = operations[output].output(0).get_target_inputs()
                kept |= dict.fromkeys(target.get_node().get_friendly_name() for target in targets)
        return [name for name in kept if operations[name].get_type_name() not in _NOT_LAYERS]

    def predictor(self, layer: str, *, weights: bool = True, activations: bool = True) -> Predict:
        """Predict with `layer` quantized: its weights, its output, or both."""
        from openvino import opset13 as ops

        model = self._model.clone()
        operations = {op.get_friendly_name(): op for op in model.get_ordered_ops()}
        found = self._layers[layer]
        if weights:
            for name, values in found.weights.items():
                operations[name].input(1).replace_source_output(ops.constant(values).output(0))
        if activations:
            for name, (limits, levels) in found.outputs.items():
                output = operations[name].output(0)
                targets = output.get_target_inputs()
                rounded = ops.fake_quantize(output, *(ops.constant(limit) for limit in limits), levels)
                for target in targets:
                    target.replace_source_output(rounded.output(0))
        return self._run(model)

    def channel_ranges(self, images: SteeringImages) -> Mapping[str, tuple[Floats, Floats]]:
        """Smallest and largest value of each channel of the layers' outputs, float32 `[channels]`, by layer."""
        from openvino import opset13 as ops

        last = {name: next(reversed(layer.outputs)) for name, layer in self._layers.items() if layer.outputs}
        model = self._model.clone()
        operations = {op.get_friendly_name(): op for op in model.get_ordered_ops()}
        model.add_results([ops.result(operations[name].output(0)) for name in last.values()])
        compiled = self._compiled(model)
        ranges: dict[str, tuple[Floats, Floats]] = {}
        for batch in batches(images.images, static=self._static, size=_BATCH):
            for name, value in zip(last, compiled(batch), strict=True):
                low, high = by_channel(value)
                if name in ranges:
                    low, high = np.minimum(low, ranges[name][0]), np.maximum(high, ranges[name][1])
                ranges[name] = low, high
        return ranges

    def _compiled(self, model: Any) -> Callable[[Pixels], list[npt.NDArray[np.float32]]]:
        from edge_fm_runtime.engines.openvino_core import shared_core

        compiled = shared_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        own = len(self._model.outputs)  # the added ones come after them

        def run(batch: Pixels) -> list[Probabilities]:
            results = compiled(batch)
            return [np.asarray(results[place]) for place in range(own, len(compiled.outputs))]

        return run

    def _find_layers(self, names: LayerNames) -> dict[str, _Layer]:
        layers: dict[str, _Layer] = {}
        makers: dict[str, str] = {}
        for operation in self._model.get_ordered_ops():
            own = operation.get_friendly_name()
            if operation.get_type_name() in _NOT_LAYERS:
                continue
            before = makers.get(operation.input_value(0).get_node().get_friendly_name())
            follows = operation.get_type_name() in _FOLLOW and before is not None
            given = own.removesuffix(CONVOLUTION)
            # tf2onnx names the convolution that it fuses first "Conv", after no layer: its weights tell.
            name = before if follows and before else names.of(given) or _of_constants(operation, names) or given
            makers[own] = name
            layer = layers.setdefault(name, _Layer())
            layer.operations.append(own)
            layer.operators.append(operation.get_type_name())
            weights = self._int8_weights(operation)
            if weights is not None:
                layer.weights[own] = weights
            if (rounded := self._rounded.get(own)) is not None:
                limits = [_value(rounded.input_value(place)) for place in range(1, 5)]
                layer.outputs[own] = limits, int(rounded.get_attributes()["levels"])
        return {name: layer for name, layer in layers.items() if layer.weights or layer.outputs}

    def _int8_weights(self, operation: Any) -> npt.NDArray[np.float32] | None:
        """The weights of an operation as the quantized model has them, as floats; None where they stay in float."""
        twin = self._twins.get(operation.get_friendly_name())
        if operation.get_type_name() not in LAYERS or twin is None:
            return None
        before, after = _constant(operation.input_value(1)), _constant(twin.input_value(1))
        if before is None or after is None or np.array_equal(before, after):
            return None
        return after

    def _weight_range(self, layer: _Layer) -> tuple[float, float] | None:
        operations = {op.get_friendly_name(): op for op in self._model.get_ordered_ops()}
        values = [_value(operations[name].input_value(1)) for name in layer.weights]
        return (float(min(v.min() for v in values)), float(max(v.max() for v in values))) if values else None


def _of_constants(operation: Any, names: LayerNames) -> str | None:
    """The layer that the weights of an operation came from, by their names."""
    for value in operation.input_values():
        node = value.get_node()
        while node.get_type_name() in ("Convert", "Reshape", "Unsqueeze"):
            node = node.input_value(0).get_node()
        if node.get_type_name() == "Constant" and (name := names.of(node.get_friendly_name())) is not None:
            return name
    return None


def _constant(output: Any) -> npt.NDArray[np.float32] | None:
    """The value of an output that depends on constants alone; None for others."""
    waiting = [output.get_node()]
    while waiting:
        node = waiting.pop()
        if node.get_type_name() == "Parameter":
            return None
        waiting += [value.get_node() for value in node.input_values()]
    return _value(output)


def _value(output: Any) -> npt.NDArray[np.float32]:
    """The value of an output that depends on constants alone."""
    import openvino as ov
    from openvino import opset13 as ops

    from edge_fm_runtime.engines.openvino_core import shared_core

    if output.get_node().get_type_name() == "Constant":
        return np.asarray(output.get_node().data, np.float32)
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = shared_core().compile_model(ov.Model([ops.result(output)], []), "CPU", exact)
    return np.array(compiled([])[0], np.float32)
