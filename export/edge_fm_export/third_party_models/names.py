"""Names of a third-party model and its layers that cannot stand in a graph."""

from __future__ import annotations

import re
from typing import Any

from edge_fm_export.compat.keras_internals import all_layers

_AROUND = {
    "activation", "arrange_pixels", "classes_alone", "get_item", "image", "normalization", "preprocessing",
    "probabilities", "rescaling",
}  # fmt: skip
"""Names of what is put around a model, as far as they are not those of Keras' operations."""
_FIRST, _OTHERS = re.compile(r"^[^A-Za-z0-9.]"), re.compile(r"[^A-Za-z0-9_.\\/>-]")


def make_names_fit(keras: Any, model: Any) -> None:
    """Rename what has a name that TensorFlow does not take, and a model called as what is, or may be, put around it.

    Keras on other backends takes any name, such as "my model" or "Модель"; TensorFlow takes ASCII letters, digits and
    some signs. Nothing reads these names afterwards: labels and files have their own.
    """
    for layer in all_layers(model):
        name = str(layer.name)
        fitting = _FIRST.sub("x", _OTHERS.sub("_", name))
        if fitting != name:
            layer.name = fitting
    kind = re.sub(r"_\d+$", "", str(model.name))
    if kind in _AROUND or hasattr(keras.ops, kind):
        model.name = f"{model.name}_model"
