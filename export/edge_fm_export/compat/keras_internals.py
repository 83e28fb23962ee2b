"""What Keras has no public name for: the layers inside a model, and two classes of old model files.

`require_tensorflow` refuses versions of Keras that these were not tested with.
"""

from __future__ import annotations

from typing import Any

from edge_fm_export.compat.versions import SupportedVersions

VERSIONS = SupportedVersions("keras", "3.12", "3.16")


def all_layers(model: Any) -> list[Any]:
    """The model and every layer in it, those inside other layers and models too.

    `Model.layers` lists neither the layers of nested models nor those inside layers such as Bidirectional. May go when
    Keras offers such a list.
    """
    return list(model._flatten_layers())


def unnamed_class(name: str) -> Any:
    """Keras's class of models of layers ("Functional") or its ThresholdedReLU; None for any other name.

    Files of Keras 2 name these classes. May go when `keras.models` and `keras.layers` offer them.
    """
    if name not in ("Functional", "ThresholdedReLU"):
        return None
    from keras.src.legacy.layers import ThresholdedReLU
    from keras.src.models.functional import Functional

    return {"Functional": Functional, "ThresholdedReLU": ThresholdedReLU}[name]


def saved_reference(cls: Any) -> tuple[str, str | None]:
    """`module` and `registered_name` by which a `.keras` file refers to a class of Keras.

    Classes without a public name are found by the private module that they lie in, and their registered name. May go
    with `unnamed_class`.
    """
    import keras

    if cls.__name__ in ("Sequential", "Model"):
        return "keras", None
    if getattr(keras.layers, cls.__name__, None) is cls:
        return "keras.layers", None
    module = str(cls.__module__)
    return module, cls.__name__ if module.startswith("keras.src") else None
