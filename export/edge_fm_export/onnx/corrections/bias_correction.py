"""Bias correction: rounding weights and inputs shifts the mean of each channel, and the bias takes the shift back.

Source: Nagel 2019, arXiv:1906.04721, section 4.2, measured on calibration images. Each layer is corrected by itself, on
the float model's inputs, so that one pass over the images does for all. With the errors of the layers before it in its
input, a layer would be corrected for what their own correction repairs; applied to all layers at once, that diverged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.onnx.corrections.extended_graph import run_extended
from edge_fm_export.onnx.quantizable_nodes import GraphView
from edge_fm_runtime.arrays import Pixels

_LAYERS = ("Conv", "Gemm")
_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class _Layer:
    """A quantized layer.

    Attributes:
        node: of the float model.
        bias: name of its int32 bias in the quantized model.
        scale: name of that bias's scale, one for each output channel.
        quantized: name of its output, computed with rounded weights from the rounded input of the float model.
    """

    node: Any
    bias: str
    scale: str
    quantized: str


def correct_biases(quantized: Any, prepared: Any, batches: Iterator[Pixels]) -> int:
    """Give every quantized layer the bias with which its channels have the float model's means.

    Args:
        quantized: the QDQ `ModelProto`, its nodes named as in `prepared`; its int32 biases are changed in place.
        prepared: the float `ModelProto` that it was made of.
        batches: of calibration images, uint8 `[N,H,W,C]`.

    Returns:
        how many layers were corrected.
    """
    from onnx import numpy_helper

    compared, layers = _side_by_side(quantized, prepared)
    if not layers:
        return 0
    shifts = _shifts(compared, layers, batches)
    constants = {constant.name: constant for constant in quantized.graph.initializer}
    for layer, shift in zip(layers, shifts, strict=True):
        bias = numpy_helper.to_array(constants[layer.bias]).astype(np.float64)
        scale = numpy_helper.to_array(constants[layer.scale]).astype(np.float64)
        corrected = np.clip(np.rint(bias + shift / scale), _INT32.min, _INT32.max).astype(np.int32)
        constants[layer.bias].CopyFrom(numpy_helper.from_array(corrected, layer.bias))
    return len(layers)


def add_zero_biases(model: Any) -> None:
    """Give every convolution without a bias one of zeros, to be corrected; changes the float `model` in place."""
    from onnx import numpy_helper

    constants = {constant.name: constant for constant in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Conv" and len(node.input) == 2 and node.input[1] in constants:
            name = f"{node.name}/bias"
            channels = constants[node.input[1]].dims[0]
            model.graph.initializer.append(numpy_helper.from_array(np.zeros(channels, np.float32), name))
            node.input.append(name)


def _side_by_side(quantized: Any, prepared: Any) -> tuple[Any, list[_Layer]]:
    """The float model with each layer once more as it was quantized, both reading the float model's activations."""
    import onnx

    compared = onnx.ModelProto()
    compared.CopyFrom(prepared)
    graph, view = compared.graph, GraphView(quantized.graph)
    nodes = {node.name: node for node in quantized.graph.node}
    known = {name for node in prepared.graph.node for name in node.output} | {i.name for i in prepared.graph.input}
    copied: set[str] = set()

    def copy_constant(name: str) -> str:
        if name not in copied:
            copied.add(name)
            constant = onnx.TensorProto()
            constant.CopyFrom(view.constants[name])
            constant.name = f"quantized/{name}"
            graph.initializer.append(constant)
        return f"quantized/{name}"

    def copy_node(node: Any, inputs: list[str], output: str) -> str:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        del copy.input[:], copy.output[:]
        copy.name = output
        copy.input.extend(inputs)
        copy.output.append(output)
        graph.node.append(copy)
        return output

    layers = []
    for number, node in enumerate(prepared.graph.node):
        twin = nodes.get(node.name)
        if node.op_type not in _LAYERS or twin is None or len(twin.input) != 3:
            continue
        restored = [view.maker[name] for name in twin.input if name in view.maker]
        if len(restored) != 3 or any(maker.op_type != "DequantizeLinear" for maker in restored):
            continue
        activation, weights, bias = restored
        rounding = view.maker.get(activation.input[0])
        if rounding is None or rounding.input[0] not in known or bias.input[0] not in view.constants:
            continue
        name = f"quantized/{number}"
        inputs = [rounding.input[0], *(copy_constant(i) for i in rounding.input[1:])]
        inputs = [copy_node(rounding, inputs, f"{name}/bytes"), *inputs[1:]]
        inputs = [copy_node(activation, inputs, f"{name}/activation")]
        for part, maker in (("weights", weights), ("bias", bias)):
            inputs.append(copy_node(maker, [copy_constant(i) for i in maker.input], f"{name}/{part}"))
        layers.append(_Layer(node, bias.input[0], bias.input[1], copy_node(node, inputs, name)))
    return compared, layers


def _shifts(compared: Any, layers: list[_Layer], batches: Iterator[Pixels]) -> list[npt.NDArray[np.float64]]:
    """For each layer the mean of each channel in float, less the mean as quantized."""
    import onnx

    for number, layer in enumerate(layers):
        sides = next((len(a.ints) for a in layer.node.attribute if a.name == "kernel_shape"), 0)
        axes = [0, *range(2, 2 + sides)]
        shift, mean = f"shift/{number}", f"mean/{number}"
        compared.graph.node.append(onnx.helper.make_node("Sub", [layer.node.output[0], layer.quantized], [shift]))
        compared.graph.node.append(onnx.helper.make_node("ReduceMean", [shift], [mean], axes=axes, keepdims=0))
        compared.graph.output.append(onnx.helper.make_tensor_value_info(mean, onnx.TensorProto.FLOAT, None))
    totals = [np.zeros(1) for _ in layers]
    images = 0
    for size, means in run_extended(compared, [f"mean/{number}" for number in range(len(layers))], batches):
        totals = [total + size * mean for total, mean in zip(totals, means, strict=True)]
        images += size
    return [total / images for total in totals]
