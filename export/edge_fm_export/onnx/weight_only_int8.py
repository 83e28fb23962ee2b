"""The last resort of accuracy control: everything computes in float, and weights that do no harm are stored in int8."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.onnx import quantizable_nodes as onnx_graph
from edge_fm_export.quantization.fewest import fewest
from edge_fm_runtime.errors import ExportError


def choose(
    layers: Sequence[str], drop_of: Callable[[frozenset[str]], float], *, limit_points: float
) -> tuple[str, ...]:
    """Find the most layers whose weights can be stored in int8.

    Args:
        layers: the layers with weights, most harmful first.
        drop_of: the drop in points with the weights of the named layers left in float.
        limit_points: the drop to stay under.

    Raises:
        ExportError: there is none.
    """
    kept = fewest(layers, lambda out: 0.0 if out >= set(layers) else drop_of(out), limit_points)
    if kept is None or kept >= set(layers):
        raise ExportError(
            f"Nothing can be int8 within the drop allowed: all {len(layers)} layers lose too much, even in their "
            "weights alone.",
            hint="Allow a larger drop with --max-drop POINTS, or use --precision fp16.",
        )
    return tuple(name for name in layers if name not in kept)


def note_on_weights(stored: Sequence[str]) -> str:
    """What a person should know about an artifact with int8 weights alone."""
    return (
        "No layer can compute in int8 within the drop allowed: all compute in float, and the weights of "
        f"{len(stored)} are stored in int8. It is smaller than fp32, and not faster."
    )


def store_onnx_weights(prepared: Path, target: Path, *, keep: Collection[str]) -> None:
    """Write the float model `prepared` to `target` with int8 weights, symmetric per output channel, but for `keep`."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(prepared)
    graph = model.graph
    constants = {c.name: c for c in graph.initializer}
    stored: dict[str, Any] = {}
    for node in graph.node:
        if node.op_type not in onnx_graph.COMPUTE or node.name in keep or len(node.input) < 2:
            continue
        name = node.input[1]
        if name not in constants:
            continue
        if name not in stored:
            weights = numpy_helper.to_array(constants[name])
            axis = _output_axis(node, weights.ndim)
            values, scales = quantize_per_channel(weights, axis)
            # In the place of the constant: a node of the graph, before the layer that reads it.
            stored[name] = helper.make_node(
                "DequantizeLinear", [f"{name}_int8", f"{name}_scale"], [f"{name}_float"], axis=axis
            )
            graph.initializer.append(numpy_helper.from_array(values, f"{name}_int8"))
            graph.initializer.append(numpy_helper.from_array(scales, f"{name}_scale"))
        node.input[1] = f"{name}_float"
    nodes = [*stored.values(), *graph.node]
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    onnx_graph.prune(graph)
    onnx.save(model, target)


def quantize_per_channel(
    weights: npt.NDArray[np.float32], axis: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Round `weights` to -127..127, one scale for each slice along `axis`.

    Example:
        >>> values, scales = quantize_per_channel(np.array([[0.5, -1.0], [0.0, 2.0]], np.float32), 0)
        >>> values.tolist()
        [[64, -127], [0, 127]]
    """
    others = tuple(i for i in range(weights.ndim) if i != axis)
    limits = np.abs(weights).max(axis=others, keepdims=True)
    scales = np.where(limits > 0, limits / 127.0, 1.0).astype(np.float32)
    values = np.clip(np.rint(weights / scales), -127, 127).astype(np.int8)
    return values, scales.reshape(-1)


def _output_axis(node: Any, rank: int) -> int:
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    return 0 if transposed else rank - 1
