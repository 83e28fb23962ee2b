"""Divide a Keras model's logits by a temperature, in the weights of the layer that computes them.

The graph stays as it is, so no format or precision costs more, and the classes that are predicted stay, too.
"""

from __future__ import annotations

from typing import Any

from edge_fm_export.compat.keras_internals import producer, times_called
from edge_fm_export.compat.tensorflow_setup import import_keras
from edge_fm_runtime.errors import ModelError

_PASSED_THROUGH = ("Activation", "Cast", "Reshape", "Flatten", "Identity", "Dropout", "GlobalAveragePooling2D")
"""What stands between logits and probabilities, or in a head of convolutions behind the logits, without weights."""


def divide_logits(model: Any, temperature: float) -> None:
    """Divide the logits of a classifier by `temperature`, in place.

    Args:
        model: a Keras model that returns one tensor of probabilities, from a softmax or a sigmoid.
        temperature: above 0.

    Raises:
        ModelError: the layer that computes the logits is not found, or is used elsewhere too.
    """
    if temperature == 1.0:
        return
    layer = _logits_layer(model)
    for variable in (layer.kernel, layer.bias):
        if variable is not None:
            variable.assign(variable / temperature)


def _logits_layer(model: Any) -> Any:
    """The Dense or convolution whose output, but for a softmax or sigmoid, is the model's."""
    keras = import_keras()

    layers = keras.layers
    plain = (layers.Dense, layers.Conv2D)
    tensor, graph, seen = _output(model), model, False
    while True:
        operation, inputs = producer(tensor)
        kind = type(operation).__name__
        activation = getattr(getattr(operation, "activation", None), "__name__", "linear")
        squashes = kind == "Softmax" or activation in ("softmax", "sigmoid")
        if isinstance(operation, keras.Model):
            tensor, graph = _output(operation), operation
        elif isinstance(operation, plain) and type(operation) in plain:
            alone = times_called(operation, graph) == 1
            if seen != squashes and activation in ("linear", "softmax", "sigmoid") and alone:
                return operation
            raise _not_found(operation)
        elif kind in ("Softmax", "Activation") and squashes and not seen:
            tensor, seen = inputs[0], True
        elif kind == "Concatenate" and len(inputs) == 2 and not seen:
            tensor = inputs[1]  # 1-p and p, of a model with one sigmoid
        elif kind in _PASSED_THROUGH and activation == "linear" and len(inputs) == 1:
            tensor = inputs[0]
        else:
            raise _not_found(operation)


def _output(model: Any) -> Any:
    outputs = getattr(model, "outputs", None) or []
    if len(outputs) != 1:
        raise _not_found(model)
    return outputs[0]


def _not_found(operation: Any) -> ModelError:
    name = getattr(operation, "name", type(operation).__name__)
    return ModelError(
        f"The logits of this model cannot be divided by a temperature: {name} ({type(operation).__name__}) stands "
        "where a Dense or Conv2D layer and its softmax or sigmoid are looked for.",
        hint="Leave --temperature out. --min-score works without it, too.",
    )
