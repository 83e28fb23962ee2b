"""Divide a Keras model's logits by a temperature, in the weights of the layer that computes them.

The graph stays as it is, so no format or precision costs more, and the classes that are predicted stay, too.
"""

from __future__ import annotations

from typing import Any

from edge_fm_export.outputs.head import find_head


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
    layer = find_head(
        model,
        problem="The logits of this model cannot be divided by a temperature",
        hint="Leave --temperature out. --min-score works without it, too.",
    ).layer
    for variable in (layer.kernel, layer.bias):
        if variable is not None:
            variable.assign(variable / temperature)
