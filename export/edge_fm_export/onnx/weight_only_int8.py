"""The last resort of accuracy control: all layers compute in float, and weights that cost little are stored in int8."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.onnx import quantizable_nodes as onnx_graph
from edge_fm_export.onnx.graph_edits import prune, replace_nodes


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
    replace_nodes(graph, [*stored.values(), *graph.node])
    prune(graph)
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
