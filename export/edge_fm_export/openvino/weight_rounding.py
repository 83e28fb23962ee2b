"""Round the weights of an OpenVINO model so that its layers' outputs stay close: NNCF then finds the same integers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_fm_export.openvino.ir_float_layers import LAYERS
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
from edge_fm_runtime.engines.openvino_core import shared_core

_EXPLICIT = ("explicit", "valid", "notset")
"""Kinds of padding whose numbers a convolution carries."""


@dataclass(frozen=True)
class _Layer:
    """A convolution or dense layer of the float model.

    Attributes:
        operation: of OpenVINO.
        weights: float, as the operation has them.
    """

    operation: Any
    weights: Values

    @classmethod
    def of(cls, operation: Any) -> _Layer:
        return cls(operation, np.array(operation.input_value(1).get_node().data))

    @property
    def groups(self) -> int:
        return len(self.weights) if self.operation.get_type_name() == "GroupConvolution" else 1

    def rows(self, values: Values) -> Values:
        """Values of the shape of the weights as `[G,O,N]`: groups, outputs of one, weights of an output."""
        kind = self.operation.get_type_name()
        if kind == "MatMul":
            return (values if self.operation.get_attributes()["transpose_b"] else values.T)[None]
        outputs = values.shape[1] if kind == "GroupConvolution" else values.shape[0]
        return values.reshape(self.groups, outputs, -1)

    def restored(self, rows: Values) -> Values:
        """The inverse of `rows`."""
        if self.operation.get_type_name() == "MatMul":
            values: Values = rows[0]
            return values if self.operation.get_attributes()["transpose_b"] else values.T
        return rows.reshape(self.weights.shape)

    def inputs(self, activation: Values, count: int, generator: np.random.Generator) -> Values:
        """What at most `count` of the outputs, drawn at random, are computed of: `[G,samples,N]`.

        Args:
            activation: that the layer reads, float32 `[N,C,...]`, or `[...,C]` for a dense layer.
            count: of outputs, over all images.
            generator: draws them.
        """
        if self.operation.get_type_name() == "MatMul":
            return dense_inputs(activation, count, generator)
        found = self.operation.get_attributes()
        geometry = Geometry(
            sides=self.weights.shape[-(activation.ndim - 2) :],
            strides=found["strides"],
            dilations=found["dilations"],
            pads_begin=found["pads_begin"],
            pads_end=found["pads_end"],
            groups=self.groups,
        )
        return convolution_inputs(activation, geometry, count, generator)


@dataclass(frozen=True)
class RoundedWeights:
    """Weights that NNCF quantizes to the integers that keep the layers' outputs.

    Attributes:
        values: float32, each of the shape that it had, by the operations' names.
        left: names of the layers that NNCF rounds to the nearest: those of more than `MOST_INPUTS` weights an output,
            those whose weights several operations read, those whose inputs overflow, and those of other kinds, such
            as transposed convolutions.
    """

    values: Mapping[str, Values]
    left: tuple[str, ...]

    def without(self, kept: Collection[str]) -> RoundedWeights:
        """Without the operations `kept`, which stay in float."""
        values = {name: values for name, values in self.values.items() if name not in kept}
        return RoundedWeights(values, tuple(name for name in self.left if name not in kept))


def layer_inputs(model: Any, batches: Iterator[Pixels], images: int, seed: int) -> dict[str, Inputs]:
    """What the layers of the float `model` (openvino.Model) read, by their operations' names.

    Args:
        model: stays as it is.
        batches: calibration images, uint8 `[N,H,W,C]`.
        images: how many these are.
        seed: of the positions that are looked at.
    """
    from openvino import opset13 as ops

    extended = model.clone()
    own = len(extended.outputs)  # the added ones come after them
    read = [_Layer.of(operation) for operation in extended.get_ordered_ops() if _is_supported(operation)]
    layers = [layer for layer in read if layer.rows(layer.weights).shape[2] <= MOST_INPUTS]
    extended.add_results([ops.result(layer.operation.input_value(0)) for layer in layers])
    compiled = shared_core().compile_model(extended, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    generator = np.random.default_rng(seed)
    found = {layer.operation.get_friendly_name(): Inputs() for layer in layers}
    for batch in batches if layers else ():
        results = compiled(batch)
        count = outputs_drawn(len(batch), images)
        for place, (layer, inputs) in enumerate(zip(layers, found.values(), strict=True)):
            inputs.add(layer.inputs(np.asarray(results[own + place]), count, generator))
    return found


def rounded_weights(model: Any, trial: Any, inputs: dict[str, Inputs]) -> RoundedWeights:
    """Find the integers that keep the outputs of the layers that NNCF quantizes.

    Args:
        model: the float model (openvino.Model).
        trial: what NNCF makes of it, with any calibration: the integers of the weights do not depend on that.
        inputs: of the layers; emptied on the way, as they take more memory than the model.
    """
    originals = {operation.get_friendly_name(): operation for operation in model.get_ordered_ops()}
    found, left = {}, []
    for operation in trial.get_ordered_ops():
        stored = _integers(operation.input_value(1).get_node()) if operation.get_type_name() in LAYERS else None
        name = operation.get_friendly_name()
        if stored is None:
            continue
        read = inputs.pop(name, None)
        layer = _Layer.of(originals[name]) if read is not None and read.is_finite() else None
        if read is None or layer is None or stored[0].shape != layer.weights.shape:
            left.append(name)
            continue
        weights, scales, nearest = (
            layer.rows(values) for values in (layer.weights, np.broadcast_to(stored[1], layer.weights.shape), stored[0])
        )
        steps = round_layer(weights, scales, nearest, read)
        if steps is None:
            left.append(name)
            continue
        # What stays as it was keeps its exact value, and so the row's largest weight, from which NNCF takes the scale.
        found[name] = layer.restored(np.where(steps == nearest, weights, steps * scales).astype(np.float32))
    return RoundedWeights(found, tuple(left))


def with_weights(model: Any, weights: Mapping[str, Values]) -> Any:
    """The model (openvino.Model), changed in place: its operations of these names read these weights."""
    from openvino import opset13 as ops

    for operation in model.get_ordered_ops():
        if (values := weights.get(operation.get_friendly_name())) is not None:
            constant = ops.constant(values)
            constant.set_friendly_name(operation.input_value(1).get_node().get_friendly_name())
            operation.input(1).replace_source_output(constant.output(0))
    return model


def _is_supported(operation: Any) -> bool:
    """Whether the operation is a layer whose inputs can be told, with weights of its own in float32."""
    kind = operation.get_type_name()
    if kind not in ("Convolution", "GroupConvolution", "MatMul"):
        return False
    attributes = operation.get_attributes()
    constant = operation.input_value(1)
    node = constant.get_node()
    if node.get_type_name() != "Constant" or len(constant.get_target_inputs()) > 1 or node.data.dtype != np.float32:
        return False
    if kind == "MatMul":
        return not attributes["transpose_a"] and node.data.ndim == 2
    return str(attributes.get("auto_pad", "explicit")).lower() in _EXPLICIT


def _integers(node: Any) -> tuple[Values, Values] | None:
    """The 8-bit weights of a quantized layer and their scales; None where it has other ones."""
    if node.get_type_name() != "Multiply":
        return None
    converted, scales = (value.get_node() for value in node.input_values())
    if converted.get_type_name() != "Convert" or scales.get_type_name() != "Constant":
        return None
    constant = converted.input_value(0).get_node()
    if constant.get_type_name() != "Constant" or constant.data.dtype != np.int8:
        return None
    return np.array(constant.data), np.array(scales.data)
