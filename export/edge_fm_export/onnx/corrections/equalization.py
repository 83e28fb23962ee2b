"""Cross-layer equalization: channels of one range, by scales that pass from a layer to the next through its activation.

Source: Nagel 2019, arXiv:1906.04721, section 4.1. An activation is rounded in steps of its widest channel, so that a
channel a hundred times narrower is lost. A positive factor passes through ReLU unchanged. Through ReLU6, it does where
the channel cannot reach 6 for any image: bounds are computed from the weights and the bounds before them, and a channel
without such a bound stays as it is. So the float model computes what it did, to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.onnx.corrections.extended_graph import run_extended
from edge_fm_export.onnx.quantizable_nodes import GraphView
from edge_fm_runtime.arrays import Pixels

Floats = npt.NDArray[np.float64]

_MOST = 1e4
"""Largest factor: a dead channel stays nearly dead."""
_PASSES = ("Pad", "MaxPool", "AveragePool", "GlobalAveragePool")
"""What a positive factor of a channel passes through."""


@dataclass(frozen=True)
class _Pair:
    """A layer, its activation function and the one layer that reads it."""

    first: Any
    activation: Any | None
    second: Any
    tensor: str

    @property
    def ceiling(self) -> bool:
        """Whether the activation function has an upper bound."""
        return self.activation is not None and self.activation.op_type == "Clip"


def equalize(model: Any, batches: Callable[[], Iterator[Pixels]]) -> int:
    """Equalize the channels between consecutive convolutions; changes the float `model` in place.

    Args:
        model: a `ModelProto`, batch normalization folded.
        batches: calibration images, uint8 `[N,H,W,C]`, from the start at each call.

    Returns:
        how many activations were equalized.
    """
    view = GraphView(model.graph)
    pairs = [pair for node in model.graph.node if (pair := _pair(view, node)) is not None]
    if not pairs:
        return 0
    ranges = channel_maxima(model, [pair.tensor for pair in pairs], batches())
    bounds = _Bounds(view)
    changed = 0
    for pair, reach in zip(pairs, ranges, strict=True):
        weights, following = (_array(view, node.input[1]) for node in (pair.first, pair.second))
        factors = _factors(pair, following, reach)
        if pair.ceiling:
            factors = np.clip(factors, 1.0, np.maximum(1.0, _ceiling(view, pair) / bounds.of_layer(pair.first)))
        if np.allclose(factors, 1.0, rtol=0.01):
            continue
        changed += 1
        shape = (-1, *[1] * (weights.ndim - 1))
        _set(view, pair.first.input[1], weights * factors.reshape(shape))
        _set(view, pair.first.input[2], _array(view, pair.first.input[2]) * factors)
        inverse = 1.0 / factors
        shape = shape if _depthwise(pair.second, following) else (1, -1, *[1] * (following.ndim - 2))
        _set(view, pair.second.input[1], following * inverse.reshape(shape))
        bounds.forget()
    return changed


def channel_maxima(model: Any, tensors: list[str], batches: Iterator[Pixels]) -> list[Floats]:
    """The largest absolute value of each channel of each of `tensors` `[N,C,...]`."""
    import onnx

    observed = onnx.ModelProto()
    observed.CopyFrom(model)
    for number, tensor in enumerate(tensors):
        nodes = (
            onnx.helper.make_node("Abs", [tensor], [f"absolute/{number}"]),
            onnx.helper.make_node("ReduceMax", [f"absolute/{number}"], [f"reach/{number}"], axes=[0, 2, 3], keepdims=0),
        )
        observed.graph.node.extend(nodes)
        observed.graph.output.append(
            onnx.helper.make_tensor_value_info(f"reach/{number}", onnx.TensorProto.FLOAT, None)
        )
    reach = [np.zeros(1) for _ in tensors]
    for _, found in run_extended(observed, [f"reach/{number}" for number in range(len(tensors))], batches):
        reach = [np.maximum(old, new) for old, new in zip(reach, found, strict=True)]
    return reach


def _pair(view: GraphView, first: Any) -> _Pair | None:
    """The layer `first` with what follows it; None where its output is read by anything else than one convolution."""
    if first.op_type != "Conv" or len(first.input) != 3 or any(i not in view.constants for i in first.input[1:]):
        return None
    node, activation, tensor = first, None, first.output[0]
    outputs = {output.name for output in view.graph.output}
    while True:
        readers = view.readers.get(node.output[0], [])
        if len(readers) != 1 or node.output[0] in outputs:
            return None
        following = readers[0]
        if following.op_type in ("Relu", "Clip") and activation is None and node is first:
            if following.op_type == "Clip" and _lower(view, following) != 0.0:
                return None
            activation, tensor = following, following.output[0]
        elif following.op_type == "Conv" and following.input[0] == node.output[0]:
            shared = len(view.readers.get(following.input[1], [])) > 1 or len(view.readers.get(first.input[1], [])) > 1
            if following.input[1] not in view.constants or shared or len(view.readers.get(first.input[2], [])) > 1:
                return None
            weights = view.constants[following.input[1]]
            groups, channels = _groups(following), view.constants[first.input[1]].dims[0]
            if len(weights.dims) != 4 or not (groups == 1 or (groups == channels == weights.dims[0])):
                return None
            return _Pair(first, activation, following, tensor)
        elif following.op_type not in _PASSES or _pads_with_other_than_zero(view, following):
            return None
        node = following


def _factors(pair: _Pair, following: Floats, reach: Floats) -> Floats:
    """What each channel is multiplied by, at most `_MOST` apart; the widest channel keeps its range."""
    alive = reach > 0
    if not alive.any():
        return np.ones_like(reach)
    reach = np.where(alive, reach, reach[alive].max())
    if _depthwise(pair.second, following):
        wanted = 1.0 / reach  # its weights have a scale for each channel, so that all ranges may become one
    else:
        columns = np.abs(following).max(axis=tuple(i for i in range(following.ndim) if i != 1))
        wanted = np.sqrt(np.where(columns > 0, columns, columns.max() or 1.0) / reach)
    equalized = wanted * reach
    factors = wanted * (reach.max() / equalized.max())
    return np.asarray(np.clip(np.where(alive, factors, 1.0), 1.0 / _MOST, _MOST))


class _Bounds:
    """What each channel of a layer's output cannot exceed, whatever the image is; infinite where nothing is known."""

    def __init__(self, view: GraphView) -> None:
        self._view = view
        self._known: dict[str, tuple[Floats, Floats]] = {}

    def forget(self) -> None:
        """Drop what was computed from weights that have changed since."""
        self._known.clear()

    def of_layer(self, node: Any) -> Floats:
        """The upper bound of each channel of a convolution's output; at least a tiny positive number."""
        low, high = self._of(node.input[0], 0)
        weights = _array(self._view, node.input[1])
        bias = _array(self._view, node.input[2]) if len(node.input) > 2 else 0.0
        positive, negative = np.maximum(weights, 0), np.minimum(weights, 0)
        others = tuple(range(1, weights.ndim))
        if _groups(node) > 1:
            if not _depthwise(node, weights):
                return np.full(len(weights), np.inf)
            low, high = (np.broadcast_to(side, (len(weights),)).reshape(-1, *[1] * len(others)) for side in (low, high))
        else:
            low, high = (
                np.broadcast_to(side, (weights.shape[1],)).reshape(1, -1, *[1] * (len(others) - 1))
                for side in (low, high)
            )
        with np.errstate(invalid="ignore"):  # 0 * inf: a weight of 0 has no share in the bound
            upper = np.where(positive > 0, positive * np.maximum(high, 0), 0.0)
            upper = upper + np.where(negative < 0, negative * np.minimum(low, 0), 0.0)
        return np.asarray(np.maximum(upper.sum(axis=others) + bias, 1e-12))

    def _of(self, tensor: str, depth: int) -> tuple[Floats, Floats]:
        unknown = (np.array(-np.inf), np.array(np.inf))
        if tensor in self._known or depth > 8:
            return self._known.get(tensor, unknown)
        node = self._view.maker.get(tensor)
        found = unknown
        if node is not None and node.op_type in ("Relu", "Clip"):
            ceiling = np.array(np.inf) if node.op_type == "Relu" else np.array(_upper(self._view, node))
            floor = 0.0 if node.op_type == "Relu" else _lower(self._view, node)
            maker = self._view.maker.get(node.input[0])
            high = ceiling
            if maker is not None and maker.op_type == "Conv" and _depthwise_node(self._view, maker):
                high = np.minimum(ceiling, self.of_layer(maker))
            found = (np.array(-np.inf if floor is None else floor), high)
        elif node is not None and node.op_type in _PASSES and not _pads_with_other_than_zero(self._view, node):
            low, high = self._of(node.input[0], depth + 1)
            found = (np.minimum(low, 0.0), np.maximum(high, 0.0))
        self._known[tensor] = found
        return found


def _depthwise_node(view: GraphView, node: Any) -> bool:
    return node.input[1] in view.constants and _depthwise(node, _array(view, node.input[1]))


def _depthwise(node: Any, weights: Floats) -> bool:
    return _groups(node) == len(weights) > 1 and weights.shape[1] == 1


def _groups(node: Any) -> int:
    return next((int(a.i) for a in node.attribute if a.name == "group"), 1)


def _ceiling(view: GraphView, pair: _Pair) -> float:
    upper = _upper(view, pair.activation)
    return np.inf if upper is None else upper


def _lower(view: GraphView, clip: Any) -> float | None:
    return _limit(view, clip, 1)


def _upper(view: GraphView, clip: Any) -> float:
    limit = _limit(view, clip, 2)
    return np.inf if limit is None else limit


def _limit(view: GraphView, clip: Any, place: int) -> float | None:
    name = clip.input[place] if len(clip.input) > place else ""
    return float(_array(view, name)) if name in view.constants else None


def _pads_with_other_than_zero(view: GraphView, node: Any) -> bool:
    if node.op_type != "Pad":
        return False
    if any(a.name == "mode" and a.s != b"constant" for a in node.attribute):
        return False  # it repeats values of the same channel
    value = _limit(view, node, 2) if len(node.input) > 2 and node.input[2] else 0.0
    return value != 0.0


def _array(view: GraphView, name: str) -> Floats:
    from onnx import numpy_helper

    return np.asarray(numpy_helper.to_array(view.constants[name]), np.float64)


def _set(view: GraphView, name: str, values: Floats) -> None:
    from onnx import numpy_helper

    view.constants[name].CopyFrom(numpy_helper.from_array(values.astype(np.float32), name))
