"""What TensorFlow has no public name for: freezing and inlining graphs, the functions of a graph, SavedModel messages.

`require_tensorflow` refuses versions that these were not tested with.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edge_fm_export.compat.versions import SupportedVersions

VERSIONS = SupportedVersions("tensorflow", "2.19", "2.22")


_TRACING_DETECTOR = "called_with_tracing"


@contextmanager
def retracing_warnings_hidden() -> Iterator[None]:
    """Hide TensorFlow's warning of frequent tracing, which takes the functions of different models for one.

    Cross-validation and searches build a model for each fold or trial; Keras makes functions for each, from the same
    lines of code, by which TensorFlow counts. The warning has no class and no switch for functions that others make; it
    is known by the private function that logs it. May go when Keras leaves its functions out of the count, or
    TensorFlow counts by function.
    """

    def is_other(record: logging.LogRecord) -> bool:
        return record.funcName != _TRACING_DETECTOR

    logger = logging.getLogger("tensorflow")
    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)


def freeze_variables(function: Any) -> Any:
    """A copy of the concrete `function` with its variables as constants and its calls inlined.

    The public `tf.compat.v1.graph_util.convert_variables_to_constants` takes sessions alone. May go when TensorFlow
    offers one for functions; its own guides use this one.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(function, lower_control_flow=False, aggressive_inlining=True)


def inline_functions(graph_def: Any, *, inputs: list[str], outputs: list[str]) -> Any:
    """Replace function calls by the functions' bodies.

    Keras wraps what TensorFlow's CPU kernels cannot do (grouped convolutions) into a function that XLA compiles, which
    TensorFlow therefore never inlines; a converter needs the operator inside. Only a session runs TensorFlow's graph
    optimizer publicly. May go when tf2onnx converts calls of such functions, or Keras compiles none.

    Args:
        graph_def: a frozen graph; not changed.
        inputs: names of its placeholders.
        outputs: names of its outputs.

    Returns:
        tensorflow.GraphDef, the same one where it calls no function.
    """
    if not any(node.op in ("PartitionedCall", "StatefulPartitionedCall") for node in graph_def.node):
        return graph_def
    import tensorflow as tf
    from tensorflow.python.grappler import tf_optimizer

    unmarked = type(graph_def)()
    unmarked.CopyFrom(graph_def)
    nodes = [*unmarked.node, *(node for function in unmarked.library.function for node in function.node_def)]
    for holder in (*nodes, *unmarked.library.function):
        for name in ("_XlaMustCompile", "_noinline"):
            holder.attr.pop(name, None)
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.optimizers.append("function")
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(unmarked, name="")
        meta_graph = tf.compat.v1.train.export_meta_graph(graph_def=graph.as_graph_def(), graph=graph)
    meta_graph.collection_def["train_op"].node_list.value.extend([*inputs, *outputs])
    return tf_optimizer.OptimizeGraph(config, meta_graph)


def functions_of(graph: Any) -> dict[str, Any]:
    """The graphs of the functions that a `tf.Graph` holds, by the functions' names, with the shapes of their tensors.

    The functions in `Graph.as_graph_def()` have no shapes. May go when TensorFlow offers these.
    """
    return {f.name.decode(): f.graph for f in graph._functions.values() if hasattr(f, "graph")}


def saved_model_message() -> Any:
    """An empty message of the type that `saved_model.pb` holds. May go when `tf.compat.v1` offers it."""
    from tensorflow.core.protobuf import saved_model_pb2

    return saved_model_pb2.SavedModel()


def is_operator(name: str) -> bool:
    """Whether TensorFlow has an operator `name`; `tf.raw_ops` lacks some. May go when it has all."""
    from tensorflow.python.framework import op_def_registry

    return op_def_registry.get(name) is not None
