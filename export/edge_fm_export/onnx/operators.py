"""What tf2onnx lacks for Keras models: functions that Keras compiles with XLA, the exact GELU, added scalars."""

from __future__ import annotations

import math
from typing import Any

from edge_fm_export.compat.tensorflow_setup import require_tensorflow


def inline_functions(graph_def: Any, *, inputs: list[str], outputs: list[str]) -> Any:
    """Replace function calls by the functions' bodies.

    Keras wraps what TensorFlow's CPU kernels cannot do (grouped convolutions) into a function that XLA compiles, which
    TensorFlow therefore never inlines; a converter needs the operator inside.

    Args:
        graph_def: a frozen graph; not changed.
        inputs: names of its placeholders.
        outputs: names of its answers.

    Returns:
        tensorflow.GraphDef, the same one where it calls no function.
    """
    if not any(node.op in ("PartitionedCall", "StatefulPartitionedCall") for node in graph_def.node):
        return graph_def
    tf, _ = require_tensorflow("export")
    from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
    from tensorflow.python.grappler import tf_optimizer

    plain = type(graph_def)()
    plain.CopyFrom(graph_def)
    for holder in (plain, *plain.library.function):
        nodes = holder.node if holder is plain else holder.node_def
        for attributes in (*(node.attr for node in nodes), *(() if holder is plain else (holder.attr,))):
            for name in ("_XlaMustCompile", "_noinline"):
                attributes.pop(name, None)
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.optimizers.append("function")
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(plain, name="")
        meta_graph = tf.compat.v1.train.export_meta_graph(graph_def=graph.as_graph_def(), graph=graph)
    fetched = meta_graph_pb2.CollectionDef()
    fetched.node_list.value.extend([*inputs, *outputs])
    meta_graph.collection_def["train_op"].CopyFrom(fetched)
    return tf_optimizer.OptimizeGraph(config, meta_graph)


def spread_scalars(graph_def: Any) -> Any:
    """Give the constant of `tensor + scalar` the shape [1].

    tf2onnx's transpose optimizer takes it for a bias and fails on its empty shape, and then leaves the Transposes
    around every convolution of the model (seen with hard-swish, which adds 3).

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
    """The `custom_op_handlers` that tf2onnx is given."""
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
