"""The calls of layers in a Keras 2 model's description, written as Keras 3 writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_fm_export.third_party_models.keras2 import operations

MODELS = ("Functional", "Model", "Sequential")
"""Class names of models, which may be layers of another model."""


def layer_name(entry: Mapping[str, Any]) -> str:
    """The name of a described layer; empty where it has none."""
    inner = entry.get("config")
    inner = inner if isinstance(inner, Mapping) else {}
    return str(entry.get("name", inner.get("name", "")))


class CallGraph:
    """The call of a layer that each tensor comes from.

    Keras 2 counts a model's own making as its first call; Keras 3 does not.
    """

    def __init__(self, layers: Mapping[str, Mapping[str, Any]]) -> None:
        self._layers = layers
        self._first: dict[str, int] = {}

    def count_calls(self, value: Any) -> None:
        """Note the lowest number of a call of each model used as a layer."""
        if self._is_tensor(value):
            name, index = value[0], value[1]
            if str(self._layers[name].get("class_name")) in MODELS:
                self._first[name] = min(index, self._first.get(name, index))
            for more in value[3:]:
                self.count_calls(more)
        elif isinstance(value, list):
            for part in value:
                self.count_calls(part)
        elif isinstance(value, Mapping):
            for part in value.values():
                self.count_calls(part)

    def node(self, node: Any, entry: Mapping[str, Any]) -> Any:
        """One call as Keras 3 describes it: arguments, with tensors as objects."""
        if isinstance(node, Mapping):
            return node
        flat = bool(node) and self._is_call(node)
        # A function's node names one tensor, or a constant in its place; a layer's a list of tensors.
        calls = [node] if flat else (node if all(self._is_call(part) for part in node) else node[0])
        kwargs = dict(calls[-1][3]) if len(calls[-1]) > 3 and isinstance(calls[-1][3], Mapping) else {}
        if flat and node[0] == "_CONSTANT_VALUE":  # Keras 3 takes tensors alone without a keyword
            kwargs[operations.FIRST] = node[2]
            return {"args": [], "kwargs": {key: self._value(value) for key, value in kwargs.items()}}
        given = [call[2] if call[0] == "_CONSTANT_VALUE" else self._tensor(call) for call in calls]
        nested = len(given) == 1 and str(entry.get("class_name")) in operations.LAYERS and not flat
        first = given if len(given) > 1 or nested else given[0]
        return {"args": [first], "kwargs": {key: self._value(value) for key, value in kwargs.items()}}

    def outputs(self, value: Any) -> Any:
        """The model's outputs: here Keras 3 takes one from the number of a functional model's call."""
        if self._is_tensor(value):
            functional = str(self._layers[value[0]].get("class_name")) in ("Functional", "Model")
            return [value[0], self._index(value) + (1 if functional else 0), value[2]]
        if isinstance(value, list):
            return [self.outputs(part) for part in value]
        return {key: self.outputs(part) for key, part in value.items()} if isinstance(value, Mapping) else value

    def _value(self, value: Any) -> Any:
        if self._is_tensor(value):
            return self._tensor(value)
        if isinstance(value, list):
            return [self._value(part) for part in value]
        return {key: self._value(part) for key, part in value.items()} if isinstance(value, Mapping) else value

    def _tensor(self, value: Any) -> dict[str, Any]:
        # Shape and dtype are placeholders: Keras looks the tensor up by its history.
        history = [value[0], self._index(value), value[2]]
        inner = {"shape": [None], "dtype": "float32", "keras_history": history}
        return {"class_name": "__keras_tensor__", "config": inner}

    def _index(self, value: Any) -> int:
        return int(value[1]) - self._first.get(value[0], 0)

    def _is_tensor(self, value: Any) -> bool:
        return (
            isinstance(value, list)
            and len(value) in (3, 4)
            and isinstance(value[0], str)
            and value[0] in self._layers
            and all(isinstance(number, int) and not isinstance(number, bool) for number in value[1:3])
        )

    def _is_call(self, value: Any) -> bool:
        return self._is_tensor(value) or (isinstance(value, list) and bool(value) and value[0] == "_CONSTANT_VALUE")
