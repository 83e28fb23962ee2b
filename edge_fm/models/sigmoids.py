"""Models of the zoo for several labels an image: a sigmoid for each label in place of the softmax."""

from __future__ import annotations

from typing import Any

from edge_fm.models.keras_import import require_keras
from edge_fm_runtime.errors import ModelError


def end_in_sigmoids(model: Any) -> Any:
    """Let a model of the zoo end in a sigmoid for each class, in place; returns it.

    Args:
        model: as `build_model` makes it.

    Raises:
        ModelError: its last layer is no softmax.
    """
    keras = require_keras("a model")
    layer = model.layers[-1]
    if layer.name != "probabilities" or getattr(layer, "activation", None) is not keras.activations.softmax:
        raise ModelError(
            f"{model.name} does not end in a softmax that a sigmoid for each label could take the place of.",
            hint="`edgefm models` lists others.",
        )
    layer.activation = keras.activations.sigmoid
    return model
