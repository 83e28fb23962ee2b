"""Rebuild models of other precisions in float32, which every format and engine knows."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_fm_export.compat.keras_internals import all_layers
from edge_fm_export.compat.tensorflow_setup import quiet, require_tensorflow
from edge_fm_runtime.errors import ModelError

_OTHER = ("float16", "bfloat16", "float64")
_POLICIES = (*_OTHER, "mixed_float16", "mixed_bfloat16")


def as_float32(model: Any, path: Any, *, trust: bool = False) -> tuple[Any, str | None]:
    """Rebuild `model` so that it computes and stores its weights in float32.

    Args:
        model: a Keras model.
        path: its file, for messages.
        trust: whether code that the model carries may run, as at loading.

    Returns:
        The model, `model` itself where it is float32 throughout; and the precision that it had, or None.

    Raises:
        ModelError: Keras cannot rebuild it.
    """
    found = _precisions(model)
    if not found:
        return model, None
    _, keras = require_tensorflow("opening a Keras model")
    had = ", ".join(sorted(found))
    try:
        with quiet():
            config = _replaced(keras.saving.serialize_keras_object(model))
            custom = {cls.__name__: cls for cls in {type(layer) for layer in all_layers(model)}}
            rebuilt = keras.saving.deserialize_keras_object(config, custom_objects=custom, safe_mode=not trust)
            if not rebuilt.built:
                rebuilt.build(model.input_shape)
            rebuilt.set_weights([_widened(value) for value in model.get_weights()])
    except Exception as error:
        raise ModelError(
            f"{path} computes in {had}, and Keras {keras.__version__} cannot rebuild it in float32: "
            f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}",
            hint="Build it under keras.config.set_dtype_policy('float32'), give it the weights, and save it again.",
        ) from error
    left = _precisions(rebuilt)
    if left:
        raise ModelError(
            f"{path} computes in {had}, and parts of it stay {', '.join(sorted(left))} when it is rebuilt in float32.",
            hint="Let its own layers pass dtype to keras.layers.Layer.__init__, and save it again.",
        )
    return rebuilt, had


def rebuilt_note(had: str) -> str:
    """The note that a model of the precision `had` was rebuilt."""
    return f"The model computes in {had}; it was rebuilt in float32 with the same weights, and is compared as such."


def graph_as_float32(graph_def: Any) -> str | None:
    """Make every tensor of a frozen TensorFlow graph that is of another float type float32, in place.

    Returns:
        The types that were replaced, or None.
    """
    tf, _ = require_tensorflow("loading a SavedModel")
    types = {tf.as_dtype(name).as_datatype_enum: name for name in _OTHER}
    float32 = tf.float32.as_datatype_enum
    found: set[str] = set()
    nodes = [*graph_def.node, *(node for function in graph_def.library.function for node in function.node_def)]
    for function in graph_def.library.function:
        for argument in (*function.signature.input_arg, *function.signature.output_arg):
            if argument.type in types:
                argument.type = float32
    for node in nodes:
        for value in node.attr.values():
            kind = value.WhichOneof("value")
            if kind == "type" and value.type in types:
                found.add(types[value.type])
                value.type = float32
            elif kind == "list":
                value.list.type[:] = [float32 if entry in types else entry for entry in value.list.type]
            elif kind == "tensor" and value.tensor.dtype in types:
                array = tf.make_ndarray(value.tensor).astype(np.float32)
                value.tensor.CopyFrom(tf.make_tensor_proto(array, dtype=tf.float32, shape=array.shape))
    return ", ".join(sorted(found)) or None


def _precisions(model: Any) -> set[str]:
    """The policies and types of a model's layers, weights and inputs that are floats other than float32."""
    found = {str(layer.dtype_policy.name) for layer in all_layers(model) if hasattr(layer, "dtype_policy")}
    found |= {str(weight.dtype) for weight in model.weights}
    found |= {str(tensor.dtype) for tensor in getattr(model, "inputs", None) or ()}
    return found & set(_POLICIES)


def _replaced(config: Any) -> Any:
    """The configuration with the name of every other float type and policy replaced."""
    if isinstance(config, dict):
        return {key: _replaced(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_replaced(value) for value in config)
    return "float32" if isinstance(config, str) and config in _POLICIES else config


def _widened(value: Any) -> Any:
    array = np.asarray(value)
    return array.astype(np.float32) if str(array.dtype) in _OTHER else array
