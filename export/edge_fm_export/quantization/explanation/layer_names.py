"""The Keras layers that the nodes of an exported graph came from, found by the nodes' names."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from edge_fm_export.compat.keras_internals import producer
from edge_fm_export.compat.tensorflow_setup import import_keras
from edge_fm_runtime.errors import ExportError

_CALL = re.compile(r"_\d+$")
"""Keras numbers the calls of a layer: `conv` is `conv_1` in the graph of the model around it."""


class LayerNames:
    """Finds the layer that a node came from.

    Args:
        model: the Keras model.
    """

    def __init__(self, model: Any) -> None:
        self._layers = dict(_layers(model))

    def of(self, node: str) -> str | None:
        """The name of the layer of a node such as "net_1/conv_1/convolution"; None where no layer has such a name.

        A batch normalization that was folded into the layer before it counts as that layer.
        """
        for part in reversed(re.split(r"[/:;]", node)):
            for name in (part, _CALL.sub("", part)):
                if (layer := self._layers.get(name)) is not None:
                    return _folded_into(layer) or name
        return None


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
