"""Whether two models are the same network: a hash over its layers, their settings and their connections.

What a layer is called, and what a version of Keras writes about it beyond that, does not count.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_SETTINGS = (
    *("activation", "axis", "data_format", "dilation_rate", "epsilon", "groups", "momentum", "padding", "pool_size"),
    *("bias_initializer", "bias_regularizer", "interpolation", "kernel_initializer", "kernel_regularizer"),
    *("kernel_size", "max_value", "negative_slope", "offset", "rate", "scale", "size", "strides", "threshold"),
    *("use_bias", "target_shape", "units", "filters"),
)
"""Settings of layers that change what a model computes or how it learns."""


def structure_hash(model: Any) -> str:
    """SHA-256 (hex) of the network; trained weights do not count.

    Args:
        model: functional keras.Model.

    Example:
        >>> from edge_fm.models import build_model
        >>> one, other = (build_model("lenet5", input_shape=(28, 28, 1), classes=n) for n in (5, 10))
        >>> structure_hash(one) == structure_hash(other)
        False
    """
    layers = model.get_config()["layers"]
    places = {layer["config"]["name"]: place for place, layer in enumerate(layers)}
    weights = {layer.name: [list(weight.shape) for weight in layer.weights] for layer in model.layers}
    described = [
        [
            layer["class_name"],
            {key: _plain(layer["config"][key]) for key in _SETTINGS if key in layer["config"]},
            [places[name] for name in _inputs(layer["inbound_nodes"])],
            weights.get(layer["config"]["name"], []),  # operations have none
        ]
        for layer in layers
    ]
    text = json.dumps([described, list(model.input_shape), list(model.output_shape)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(setting: Any) -> Any:
    """A setting without the place that Keras found its class in, and without the name and type of objects in it."""
    if isinstance(setting, Mapping):
        if "class_name" in setting:
            return [setting["class_name"], _plain(setting.get("config"))]
        return {key: _plain(value) for key, value in setting.items() if key not in ("name", "dtype", "seed")}
    if isinstance(setting, float):
        return float(f"{setting:.6g}")  # a file of a model may hold it at single precision
    return [_plain(value) for value in setting] if isinstance(setting, list | tuple) else setting


def _inputs(nodes: Any) -> Iterator[str]:
    """Names of the layers that a layer's inputs come from, in order."""
    if isinstance(nodes, Mapping):
        history = nodes.get("keras_history")
        if isinstance(history, Sequence):
            yield str(history[0])
        else:
            for value in nodes.values():
                yield from _inputs(value)
    elif isinstance(nodes, list | tuple):
        for value in nodes:
            yield from _inputs(value)
