"""A tiny ONNX classifier, encoded by hand, so that a base install (without the package onnx) can test its runtime.

Source of the field numbers: onnx/onnx.proto.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.artifacts.metadata import EMBEDDED_KEY, Metadata

_UINT8, _FLOAT = 2, 1
"""TensorProto.DataType."""


def write_tiny_onnx(path: Path, metadata: Metadata, *, seed: int = 0) -> None:
    """Write a classifier of uint8 `[N,4,4,1]` for the labels of `metadata`, which is embedded."""
    weights = np.random.default_rng(seed).normal(size=(16, len(metadata.labels))).astype(np.float32) / 255
    path.write_bytes(tiny_onnx(weights, properties={EMBEDDED_KEY: metadata.embedded()}))


def tiny_onnx(weights: npt.NDArray[np.float32], *, properties: dict[str, str]) -> bytes:
    """uint8 `image` [N,4,4,1] -> Cast, Flatten, MatMul, Softmax -> float32 `probabilities` [N,classes].

    Args:
        weights: float32 `[16,classes]`.
        properties: the model's metadata_props.

    Returns:
        A serialized ModelProto of IR version 8, opset 17.
    """
    classes = weights.shape[1]
    tensor = b"".join(
        (
            *(_integer(1, side) for side in weights.shape),
            _integer(2, _FLOAT),
            _text(8, "weights"),
            _bytes(9, np.ascontiguousarray(weights, "<f4").tobytes()),
        )
    )
    graph = b"".join(
        (
            _bytes(1, _node("Cast", ["image"], "float", to=_FLOAT)),
            _bytes(1, _node("Flatten", ["float"], "flat")),
            _bytes(1, _node("MatMul", ["flat", "weights"], "logits")),
            _bytes(1, _node("Softmax", ["logits"], "probabilities", axis=1)),
            _text(2, "tiny"),
            _bytes(5, tensor),
            _bytes(11, _value("image", _UINT8, ["N", 4, 4, 1])),
            _bytes(12, _value("probabilities", _FLOAT, ["N", classes])),
        )
    )
    entries = (_bytes(14, _text(1, key) + _text(2, value)) for key, value in properties.items())
    return b"".join((_integer(1, 8), _bytes(7, graph), _bytes(8, _integer(2, 17)), *entries))


def _node(operator: str, inputs: list[str], output: str, **attributes: int) -> bytes:
    parts = [_text(1, name) for name in inputs] + [_text(2, output), _text(4, operator)]
    # AttributeProto: name, i, type INT
    parts += [_bytes(5, _text(1, k) + _integer(3, v) + _integer(20, 2)) for k, v in attributes.items()]
    return b"".join(parts)


def _value(name: str, kind: int, shape: list[int | str]) -> bytes:
    sides = (_text(2, side) if isinstance(side, str) else _integer(1, side) for side in shape)
    tensor = _integer(1, kind) + _bytes(2, b"".join(_bytes(1, side) for side in sides))
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _integer(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())
