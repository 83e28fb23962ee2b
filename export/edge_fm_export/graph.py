"""What a model costs to run, counted in its traced graph."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from edge_fm_export.compat.tensorflow_graphs import functions_of
from edge_fm_export.compat.tensorflow_setup import quiet, require_tensorflow

_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative", "Conv3D")


def count_macs(model: Any) -> int | None:
    """Count the multiply-accumulates of one image: convolutions and matrix products, wherever they stand.

    Batch normalization, activations, additions and pooling are not counted, as is usual. A layer that is called twice
    counts twice. Counted in the graph that TensorFlow traces, so any model counts, subclassed ones too.

    Args:
        model: a built Keras model with one image of known size as its input.

    Returns:
        the count, or None for a model whose inner shapes are known only when it runs.

    Raises:
        MissingDependencyError: TensorFlow is not installed.

    Example:
        >>> import keras  # doctest: +SKIP
        >>> count_macs(keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 1)]))  # doctest: +SKIP
        768
    """
    tf, _ = require_tensorflow("counting a model's cost")
    (image,) = model.inputs
    batch = image.shape[0] or 1
    with quiet():
        traced = tf.function(lambda x: model(x, training=False), autograph=False).get_concrete_function(
            tf.TensorSpec((batch, *image.shape[1:]), image.dtype)
        )
    counts = [_macs(operation) for operation in _operations(traced.graph)]
    known = [count for count in counts if count is not None]
    return sum(known) // batch if len(known) == len(counts) else None


def _operations(graph: Any) -> Iterator[Any]:
    """The graph's operations and those of the functions that it calls."""
    for operation in graph.get_operations():
        yield operation
        if operation.type in ("PartitionedCall", "StatefulPartitionedCall"):
            called = functions_of(graph).get(operation.get_attr("f").name)
            if called is not None:
                yield from _operations(called)


def _macs(operation: Any) -> int | None:
    shapes = [tensor.shape for tensor in (*operation.inputs, *operation.outputs)]
    counted = operation.type in (*_CONVOLUTIONS, "Conv2DBackpropInput", "MatMul", "BatchMatMulV2")
    if counted and not all(shape.is_fully_defined() for shape in shapes):
        return None
    if operation.type in _CONVOLUTIONS:
        kernel = operation.inputs[1].shape
        output = operation.outputs[0].shape
        if operation.type == "DepthwiseConv2dNative":
            # kernel [h, w, in, multiplier]: each of the in * multiplier outputs sees one channel
            return int(math.prod(output) * math.prod(kernel[:2]))
        return int(math.prod(output) * math.prod(kernel[:-1]))
    if operation.type == "Conv2DBackpropInput":
        kernel = operation.inputs[1].shape  # [h, w, out, in]
        return int(math.prod(operation.inputs[2].shape) * math.prod(kernel[:3]))
    if operation.type in ("MatMul", "BatchMatMulV2"):
        left = operation.inputs[0].shape
        transposed = operation.get_attr("transpose_a" if operation.type == "MatMul" else "adj_x")
        return int(math.prod(operation.outputs[0].shape) * left[-2 if transposed else -1])
    return 0
