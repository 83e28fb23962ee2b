"""What tf2onnx needs for Keras models: less memory, a constant's shape that it can take, and the operator Erfc."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edge_fm_export.compat.tensorflow_setup import require_tensorflow
from edge_fm_export.compat.versions import SupportedVersions
from edge_fm_runtime.errors import ConversionWarning

VERSIONS = SupportedVersions("tf2onnx", "1.17", "1.18")
_CATCH = "TF2ONNX_CATCH_ERRORS"


@contextmanager
def without_graph_copies() -> Iterator[None]:
    """Have tf2onnx work on one graph, where an optimizer pass that fails ends the conversion.

    tf2onnx 1.17 copies the whole graph before each of its some forty optimizer passes, to go on from if one fails, and
    after each writes every constant into its protobuf node anew, where the old ones stay until the end; how much that
    costs is measured by benchmarks/artifacts/conversion.py. With a version that this was not tested with, tf2onnx works
    as it comes, and a ConversionWarning says so. May go when tf2onnx copies no weights.

    Not for several threads at once: it changes the environment and tf2onnx itself while it lasts.
    """
    import tf2onnx

    if not VERSIONS.include(tf2onnx.__version__):
        warnings.warn(
            f"tf2onnx {tf2onnx.__version__} is installed; it converts with more time and memory than the tested "
            f"versions: pip install '{VERSIONS.requirement}'",
            ConversionWarning,
            stacklevel=3,
        )
        yield
        return
    from tf2onnx.graph import Node

    write = Node.update_proto

    def update_proto(node: Any, *arguments: Any, **options: Any) -> None:
        # The model's initializers are made of constants' values, not of their nodes.
        if not node.is_const():
            write(node, *arguments, **options)

    before = os.environ.get(_CATCH)
    os.environ[_CATCH] = "FALSE"  # any value switches the copies off
    Node.update_proto = update_proto
    try:
        yield
    finally:
        Node.update_proto = write
        if before is None:
            del os.environ[_CATCH]
        else:
            os.environ[_CATCH] = before


def spread_scalars(graph_def: Any) -> Any:
    """Give the constant of `tensor + scalar` the shape [1].

    tf2onnx's transpose optimizer takes it for a bias and fails on its empty shape, and then leaves the Transposes
    around every convolution of the model (seen with hard-swish, which adds 3). May go when it leaves scalars alone.

    Args:
        graph_def: a frozen graph; not changed.

    Returns:
        tensorflow.GraphDef
    """
    tf, _ = require_tensorflow("export")
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    found: dict[str, int] = {}
    for operation in graph.get_operations():
        if operation.type in ("Add", "AddV2"):
            for index, tensor in enumerate(operation.inputs):
                spread = tensor.op.type == "Const" and tensor.dtype.is_floating and tensor.shape.rank == 0
                if spread and operation.inputs[1 - index].shape.rank:
                    found[operation.name] = index
    changed = type(graph_def)()
    changed.CopyFrom(graph_def)
    constants = {node.name: node for node in changed.node if node.op == "Const"}
    added = []
    for node in changed.node:
        if node.name in found:
            index = found[node.name]
            vector = type(node)()
            vector.CopyFrom(constants[node.input[index].split(":")[0]])
            vector.name = f"{node.name}/vector"
            vector.attr.pop("_output_shapes", None)
            value = tf.make_ndarray(vector.attr["value"].tensor).reshape(1)
            vector.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
            node.input[index] = vector.name
            added.append(vector)
    changed.node.extend(added)
    return changed


def operator_handlers() -> dict[str, tuple[Any, list[Any]]]:
    """`custom_op_handlers` for tf2onnx: Erfc, which Keras writes for the exact GELU. May go when tf2onnx has it."""
    return {"Erfc": (_erfc, [])}


def _erfc(context: Any, node: Any, name: str, args: Any) -> None:
    """Write erfc(-x c) as 1 + erf(x / (1/c)), the shape in which runtimes look for a GELU, and any other as 1 - erf."""
    import numpy as np
    from tf2onnx import utils

    (output,) = node.output
    kind, shape = context.get_dtype(output), context.get_shape(output)
    dtype = utils.map_onnx_to_numpy_type(kind)
    one = context.make_const(utils.make_name("one"), np.array(1, dtype)).output[0]
    argument, operator = node.input[0], "Sub"
    negated = _negated_product(node.inputs[0])
    if negated is not None:
        tensor, factor = negated
        root = math.sqrt(2.0) if math.isclose(factor, math.sqrt(0.5), rel_tol=1e-6) else 1.0 / factor
        divisor = context.make_const(utils.make_name("root"), np.array(root, dtype)).output[0]
        argument = context.make_node("Div", [tensor, divisor], dtypes=[kind], shapes=[shape]).output[0]
        operator = "Add"
    error = context.make_node("Erf", [argument], dtypes=[kind], shapes=[shape]).output[0]
    context.remove_node(node.name)
    sides = [error, one] if operator == "Add" else [one, error]
    context.make_node(operator, sides, name=name, outputs=[output], dtypes=[kind], shapes=[shape])


def _negated_product(node: Any) -> tuple[str, float] | None:
    """The tensor x and the number c of a node that computes (-x) c."""
    if node is None or node.type != "Mul":
        return None
    left, right = node.inputs
    if left is None or right is None or left.type != "Neg" or not right.is_const():
        return None
    factor = right.get_tensor_value(as_list=False)
    return (left.input[0], float(factor)) if factor.size == 1 and float(factor) > 0 else None
