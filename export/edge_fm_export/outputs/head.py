"""Find the layer of a Keras classifier that computes the logits, and what it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge_fm_export.compat.keras_internals import producer, times_called
from edge_fm_export.compat.tensorflow_setup import import_keras
from edge_fm_runtime.errors import ModelError

_PASSED_THROUGH = ("Activation", "Cast", "Reshape", "Flatten", "Identity", "Dropout", "GlobalAveragePooling2D")
"""What stands between logits and probabilities, or in a head of convolutions behind the logits, without weights."""


@dataclass(frozen=True, eq=False)
class Head:
    """The last layer with weights of a classifier.

    Attributes:
        layer: the Dense or Conv2D layer that computes the logits.
        features: the symbolic tensor that it reads, of the innermost of `models`.
        models: the model, and the models nested in it in which the layer lies, outermost first.
    """

    layer: Any
    features: Any
    models: tuple[Any, ...]


def find_head(model: Any, *, problem: str, hint: str) -> Head:
    """Find the Dense or convolution whose output, but for a softmax or sigmoid, is the model's.

    Args:
        model: a Keras model that returns one tensor of probabilities, from a softmax or a sigmoid.
        problem: how the error begins where it is not found, such as "The logits cannot be divided".
        hint: what to do then.

    Raises:
        ModelError: another layer stands there, or the layer is used elsewhere too.
    """
    keras = import_keras()

    layers = keras.layers
    plain = (layers.Dense, layers.Conv2D)

    def not_found(operation: Any) -> ModelError:
        name = getattr(operation, "name", type(operation).__name__)
        return ModelError(
            f"{problem}: {name} ({type(operation).__name__}) stands where a Dense or Conv2D layer and its softmax or "
            "sigmoid are looked for.",
            hint=hint,
        )

    def output(of: Any) -> Any:
        outputs = getattr(of, "outputs", None) or []
        if len(outputs) != 1:
            raise not_found(of)
        return outputs[0]

    tensor, models, seen = output(model), [model], False
    while True:
        operation, inputs = producer(tensor)
        kind = type(operation).__name__
        activation = getattr(getattr(operation, "activation", None), "__name__", "linear")
        squashes = kind == "Softmax" or activation in ("softmax", "sigmoid")
        if isinstance(operation, keras.Model):
            tensor = output(operation)
            models.append(operation)
        elif isinstance(operation, plain) and type(operation) in plain:
            alone = times_called(operation, models[-1]) == 1
            if seen != squashes and activation in ("linear", "softmax", "sigmoid") and alone:
                return Head(operation, inputs[0], tuple(models))
            raise not_found(operation)
        elif kind in ("Softmax", "Activation") and squashes and not seen:
            tensor, seen = inputs[0], True
        elif kind == "Concatenate" and len(inputs) == 2 and not seen:
            tensor = inputs[1]  # 1-p and p, of a model with one sigmoid
        elif kind in _PASSED_THROUGH and activation == "linear" and len(inputs) == 1:
            tensor = inputs[0]
        else:
            raise not_found(operation)
