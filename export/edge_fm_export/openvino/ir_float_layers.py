"""Read from an IR which of its layers compute in float."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

LAYERS = ("Convolution", "GroupConvolution", "MatMul", "ConvolutionBackpropData", "GroupConvolutionBackpropData")
"""The types of layers with weights."""
CONVOLUTION = "/WithoutBiases"
"""What OpenVINO adds to a convolution's name when it takes the bias out of it."""

_TO_WEIGHTS = ("Convert", "Multiply", "Subtract", "Reshape", "Transpose")
"""What turns 8-bit constants into weights."""
_PASSING = (
    "Transpose", "Reshape", "Squeeze", "Unsqueeze", "MaxPool", "ReduceMax", "ReduceMin", "Pad", "Concat", "Split",
    "VariadicSplit", "StridedSlice", "Slice", "Gather", "ReLU", "Clamp", "Interpolate", "ShuffleChannels",
)  # fmt: skip
"""What gives 8-bit activations on as they are."""

Inputs = Mapping[tuple[str, str], str]
"""(layer, input port) -> layer that feeds it; all by their ids."""


def float_layers(path: Path) -> list[str]:
    """Names of the convolutions and dense layers of the IR at `path` (`.xml`) that compute in float.

    Such a layer reads activations that no FakeQuantize has rounded, or weights that are no 8-bit constants.
    """
    root = ElementTree.parse(path).getroot()
    layers = {layer.get("id", ""): layer for layer in root.iter("layer")}
    inputs = {
        (edge.get("to-layer", ""), edge.get("to-port", "")): edge.get("from-layer", "") for edge in root.iter("edge")
    }
    return [
        layer.get("name", "").removesuffix(CONVOLUTION)
        for number, layer in layers.items()
        if layer.get("type") in LAYERS
        and not all(_is_integer(layers, inputs, inputs[number, port]) for port in ("0", "1"))
    ]


def has_int8_layers(path: Path) -> bool:
    """Whether a convolution or dense layer of the IR at `path` (`.xml`) computes in int8."""
    layers = [layer for layer in ElementTree.parse(path).getroot().iter("layer") if layer.get("type") in LAYERS]
    return len(float_layers(path)) < len(layers)


def _is_integer(layers: Mapping[str, Element], inputs: Inputs, number: str) -> bool:
    """Whether what the layer `number` gives comes from a FakeQuantize or from an 8-bit constant."""
    weights = False
    while True:
        layer = layers[number]
        kind = layer.get("type")
        if kind == "FakeQuantize":
            return True
        if kind == "Const":
            data = layer.find("data")
            return data is not None and data.get("element_type") in ("i8", "u8")
        weights = weights or kind in ("Convert", "Multiply", "Subtract")
        if kind not in (_TO_WEIGHTS if weights else _PASSING) or (number, "0") not in inputs:
            return False
        number = inputs[number, "0"]
