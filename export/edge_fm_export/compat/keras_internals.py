"""What Keras has no public name for: the layers of a model, what made a tensor, and two classes of old model files.

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


def producer(tensor: Any) -> tuple[Any, list[Any]]:
    """The operation (a layer, model or function) of which a symbolic tensor is the output, and what it was called with.

    `Layer.input` is of a layer's own graph where it is a model, and fails where it was called twice. May go when Keras
    names the operation of a tensor.
    """
    operation, node, _ = tensor._keras_history
    return operation, list(operation._inbound_nodes[node].input_tensors)


def times_called(operation: Any, model: Any) -> int:
    """How often a layer is called in the graph of a functional or sequential model, whatever other models call it.

    May go when Keras counts these calls.
    """
    graph = getattr(model, "_functional", None) or model
    return sum(node.operation is operation for nodes in graph._nodes_by_depth.values() for node in nodes)
