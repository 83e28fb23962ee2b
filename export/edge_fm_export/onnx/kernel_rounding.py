"""Round the kernels that read the pixels so that an even area keeps its sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.onnx.quantizable_nodes import GraphView, pixel_convolutions

COARSE_LIMIT = 64
"""Largest weight of 7 bits, as ORT's reduce_range has it."""


def round_pixel_kernels(quantized: Any, prepared: Any) -> None:
    """Round the first convolutions' weights of 7 bits again, so that each kernel keeps its sum.

    Photos and catalogue images are mostly even areas, where a kernel gives its sum times the grey level. Rounded to
    the nearest, nine weights may miss their sum by two steps, and with pixels scaled to -1..1 that is in every corner
    of a dark background. One `edgenet-s` whose predictions agreed with fp32 in 98.7% of 5,000 training images agreed in
    99.7% with 8 of 144 weights one step away. With 8 bits it changed nothing that could be measured.

    Args:
        quantized: the QDQ `ModelProto`, its nodes named as in `prepared`; changed in place.
        prepared: the float `ModelProto` that it was made of.
    """
    from onnx import numpy_helper

    floats, view = GraphView(prepared.graph), GraphView(quantized.graph)
    nodes = {node.name: node for node in quantized.graph.node}
    for layer in pixel_convolutions(prepared.graph):
        maker = view.maker.get(nodes[layer.name].input[1])
        if maker is None or maker.op_type != "DequantizeLinear" or maker.input[0] not in view.constants:
            continue  # it stayed in float
        values, scales = (numpy_helper.to_array(view.constants[name]) for name in maker.input[:2])
        weights = numpy_helper.to_array(floats.constants[layer.input[1]])
        rounded = keep_sums(values, weights, scales, limit=COARSE_LIMIT)
        view.constants[maker.input[0]].CopyFrom(numpy_helper.from_array(rounded, maker.input[0]))


def keep_sums(
    values: npt.NDArray[np.int8],
    weights: npt.NDArray[np.floating[Any]],
    scales: npt.NDArray[np.floating[Any]],
    limit: int,
) -> npt.NDArray[np.int8]:
    """Move some `values` by one step each, so that every kernel's sum is the nearest that its scale allows.

    Those move that were rounded furthest the other way, as in the largest-remainder method.

    Args:
        values: `[M,C,...]`, `weights / scales` rounded to the nearest.
        weights: float `[M,C,...]`.
        scales: `[M]`, or one for all.
        limit: no value moves beyond -limit..limit.

    >>> keep_sums(np.array([[[1, 1, 1]]], np.int8), np.array([[[0.7, 0.6, 0.7]]]), np.array([1.0]), limit=64).tolist()
    [[[1, 0, 1]]]
    """
    taps = int(np.prod(weights.shape[2:]))
    kernels = (weights.reshape(len(weights), -1) / np.reshape(scales, (-1, 1)).astype(np.float64)).reshape(-1, taps)
    moved = values.reshape(-1, taps).astype(np.int64)
    for kernel, exact in zip(moved, kernels, strict=True):
        error = kernel - exact
        steps = round(float(error.sum()))
        direction = -1 if steps > 0 else 1
        free = np.flatnonzero(np.abs(kernel + direction) <= limit)
        selected = free[np.argsort(direction * error[free], kind="stable")][: abs(steps)]
        kernel[selected] += direction
    return moved.reshape(values.shape).astype(np.int8)
