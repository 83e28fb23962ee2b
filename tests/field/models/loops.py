"""Loops and conditions inside a model: recurrent layers that are no single operator, and padded resizing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from field.case import Case, Model, ModelCase
from field.makers import CLASSES, SHAPE, keras, saved

Layers = Callable[[Any, Any], Any]


def _made(build: Layers) -> Callable[[Path], Model]:
    def make(folder: Path) -> Model:
        k = keras()
        image = k.Input(SHAPE)
        x = k.layers.Flatten()(build(k.layers, k.layers.Rescaling(1 / 255)(image)))
        return saved(k.Model(image, k.layers.Dense(CLASSES, activation="softmax")(x)), folder)

    return make


def _gru(layers: Any, x: Any) -> Any:
    return layers.GRU(3, return_sequences=True)(layers.Reshape((12, 30))(x))


def _gru_of_a_convolution(layers: Any, x: Any) -> Any:
    return layers.GRU(3)(layers.Reshape((10, -1))(layers.Conv2D(4, 3)(x)))


def _simple(layers: Any, x: Any) -> Any:
    return layers.Bidirectional(layers.SimpleRNN(3))(layers.Reshape((12, 30))(x))


def _convolutional(layers: Any, x: Any) -> Any:
    return layers.ConvLSTM2D(3, 3)(layers.Reshape((4, 3, 10, 3))(x))


def _lstms(layers: Any, x: Any) -> Any:
    return layers.LSTM(3)(layers.LSTM(3, return_sequences=True)(layers.Reshape((12, 30))(x)))


def _padded(layers: Any, x: Any) -> Any:
    return layers.Conv2D(4, 3)(layers.Resizing(8, 8, pad_to_aspect_ratio=True)(x))


_BOTH = ("onnx", "openvino")
_CRASH = r"crashed \(SIGABRT\).*--precision fp16, or --format openvino"

CASES: tuple[Case, ...] = (
    ModelCase("GRU for ONNX and OpenVINO", _made(_gru), formats=_BOTH),
    ModelCase("two SimpleRNN for ONNX and OpenVINO", _made(_simple), formats=_BOTH),
    ModelCase("ConvLSTM2D for ONNX and OpenVINO", _made(_convolutional), formats=_BOTH),
    ModelCase("LSTM upon LSTM with a fixed batch", _made(_lstms), formats=_BOTH, static_batch=1),
    ModelCase("GRU int8", _made(_gru), formats=_BOTH, precision="int8", atol=0.1),
    ModelCase("Resizing with padding int8", _made(_padded), precision="int8", atol=0.1),
    ModelCase(
        "GRU of a convolution int8: the engine crashes",
        _made(_gru_of_a_convolution),
        precision="int8",
        error=_CRASH,
    ),
)
