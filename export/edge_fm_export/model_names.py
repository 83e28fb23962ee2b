"""Names of a third-party model and its layers that cannot stand in a graph."""

from __future__ import annotations

import re
from typing import Any

# What is put around a model is called so, some of it by Keras.
_AROUND = {
    "activation", "arrange_pixels", "cast", "classes_alone", "concatenate", "image", "preprocessing", "probabilities",
    "softmax", "subtract", "take",
}  # fmt: skip
_FIRST, _OTHERS = re.compile(r"^[^A-Za-z0-9.]"), re.compile(r"[^A-Za-z0-9_.\\/>-]")


def make_names_fit(model: Any) -> None:
    """Rename the model where what is put around it has that name, and all that has a name TensorFlow does not take.

    Keras on other backends takes any name, such as "my model" or "Модель"; TensorFlow takes ASCII letters, digits and
    some signs. Nothing reads these names afterwards: labels and files have their own.
    """
    for layer in (model, *model._flatten_layers()):
        name = str(layer.name)
        fitting = _FIRST.sub("x", _OTHERS.sub("_", name))
        if fitting != name:
            layer.name = fitting
    if model.name in _AROUND:
        model.name = f"{model.name}_model"
