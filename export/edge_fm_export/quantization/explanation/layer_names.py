"""The Keras layers that the nodes of an exported graph came from, found by the nodes' names."""

from __future__ import annotations

import difflib
import math
import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.compat.keras_internals import producer
from edge_fm_export.compat.tensorflow_setup import import_keras
from edge_fm_runtime.errors import ExportError

_CALL = re.compile(r"_\d+$")
"""Keras numbers the calls of a layer: `conv` is `conv_1` in the graph of the model around it."""
_WHOLE_GRAPHS = ("SavedModelLayer", "TFSMLayer")
"""Classes of layers that hold the graph of a SavedModel, whose own layers Keras does not know."""
_CALLS = ("import", "StatefulPartitionedCall", "PartitionedCall")


class LayerNames:
    """Finds the layer that a node came from.

    Args:
        model: the Keras model.
    """

    def __init__(self, model: Any) -> None:
        self._model = model.name
        self._layers = dict(_layers(model))

    def of(self, node: str) -> str | None:
        """The name of the layer of a node such as "net_1/conv_1/convolution"; None where no layer has such a name.

        A batch normalization that was folded into the layer before it counts as that layer. Of a SavedModel, whose
        layers Keras does not know, it is the name that the layer has in the graph, such as "net_1/conv_1".
        """
        for path in reversed(node.split(";")):
            *scopes, operator = path.partition(":")[0].split("/")
            # Where the call of the model has a number, those of its layers have: `conv_1` is then a call of `conv`.
            numbered = bool(scopes) and scopes[0] != self._model and _CALL.sub("", scopes[0]) == self._model
            # An operator's own name, such as "add_1", may be that of a layer elsewhere.
            for place, part in reversed(list(enumerate(scopes or [operator]))):
                names = part, _CALL.sub("", part)
                for name in reversed(names) if numbered else names:
                    if (layer := self._layers.get(name)) is None:
                        continue
                    if type(layer).__name__ in _WHOLE_GRAPHS:
                        inside = [scope for scope in scopes[place + 1 :] if scope not in _CALLS]
                        return "/".join(inside) or operator
                    return _folded_into(layer) or name
        return None

    def by_weights(self, values: npt.NDArray[Any]) -> str | None:
        """The name of the layer that has these weights, in any order of their sides; None where no single one has."""
        wanted = np.sort(values, axis=None)
        found = [
            name
            for name, layer in self._layers.items()
            for weight in layer.weights
            if math.prod(weight.shape) == wanted.size and np.array_equal(np.sort(np.asarray(weight), axis=None), wanted)
        ]
        return found[0] if len(found) == 1 else None


def require_layers(wanted: Collection[str], known: Sequence[str]) -> None:
    """Raise unless every layer that is to stay in float is one that int8 would quantize.

    Raises:
        ExportError: names the first that is not, and the nearest that are.
    """
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise ExportError(
                f"There is no layer {name!r} that int8 quantizes; there are: {', '.join(known)}.",
                hint=f"Did you mean --keep-float {shlex.quote(near[0])}?" if near else None,
            )


def _layers(model: Any) -> Iterator[tuple[str, Any]]:
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _layers(layer)
        else:
            yield layer.name, layer


def _folded_into(layer: Any) -> str | None:
    """The layer whose output a batch normalization alone reads, if it has weights."""
    keras = import_keras()
    if not isinstance(layer, keras.layers.BatchNormalization):
        return None
    try:
        before, _ = producer(layer.input)
    except (AttributeError, ValueError):  # built by hand, or called more than once
        return None
    kernels = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)
    return before.name if isinstance(before, kernels) else None
