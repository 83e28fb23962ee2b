"""A Keras 2 model's description (`config.json` or `model_config`) rewritten as Keras 3 writes one.

Keras 3 reads some of Keras 2's files: those without an argument that it has dropped since, without a model used as a
layer, and without an operator on tensors. What is rewritten here is the rest. An argument that Keras 3 lacks is left
out only where its value changes no prediction; anything else is an error that says how to export the model instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_fm_export.compat.keras_internals import saved_reference
from edge_fm_export.third_party_models.keras2 import operations
from edge_fm_export.third_party_models.keras2.layers import GONE, layer_arguments, layer_class
from edge_fm_export.third_party_models.keras2.version import KerasVersion
from edge_fm_runtime.errors import ModelError

_MODELS = ("Functional", "Model", "Sequential")
_TRAINING_OUTPUTS = ("AddLoss", "AddMetric")
_INNER = ("layer", "forward_layer", "backward_layer", "cell")
"""Arguments of wrappers (TimeDistributed, Bidirectional, RNN) that hold a layer."""
_OWN_MODULES = ("keras", "tf_keras", "tensorflow")


def keras2_advice(path: Path, version: KerasVersion) -> str:
    """What to do with a model of Keras 2 that Keras 3 cannot rebuild; it works for every model that TensorFlow runs."""
    opener = "tf_keras" if version.is_tf_keras else "tf.keras"
    return (
        f"Where {version.describe()} is installed: model = {opener}.models.load_model('{path}'); "
        "tf.saved_model.save(model, 'folder')   and then: edgefm export folder"
    )


def to_keras3(config: Mapping[str, Any], path: Path, version: KerasVersion) -> dict[str, Any]:
    """Rewrite a description.

    Args:
        config: the parsed JSON, with `class_name` and `config`.
        path: the file, for messages.
        version: what wrote it.

    Raises:
        ModelError: a layer, argument or operator that Keras 3 lacks and that means something; a malformed description.
    """
    problems: list[str] = []
    try:
        rewritten = _entry(config, problems)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        # The description is a file's: any part of it may have another type than Keras 2 would write.
        raise ModelError(
            f"The description in {path} is not what {version.describe()} writes: {type(error).__name__}: {error}.",
            hint=keras2_advice(path, version),
        ) from error
    if problems:
        raise ModelError(
            f"{path} was written by {version.describe()}, and Keras 3 cannot rebuild it: {'; '.join(problems[:5])}.",
            hint=keras2_advice(path, version),
        )
    return rewritten


def _entry(entry: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """One layer or model, as an object with module, class_name, config and registered_name."""
    kind = str(entry.get("class_name"))
    inner = entry.get("config")
    if kind in operations.LAYERS and isinstance(inner, Mapping):
        return _operation(inner, problems)
    cls = layer_class(kind) if _is_kerass(entry) else None
    if cls is None:
        if kind in GONE or (_is_kerass(entry) and "module" in entry):
            problems.append(f"it has no layer {kind}")
        return dict(entry)
    if kind == "Sequential" and isinstance(inner, list):  # as Keras before 2.2.3 wrote it
        inner = {"layers": inner}
    if not isinstance(inner, Mapping):
        problems.append(f"the layer {kind} has no description")
        return dict(entry)
    if kind in _MODELS:
        config = _sequential(inner, problems) if kind == "Sequential" else _functional(inner, problems)
    elif kind == "InputLayer":
        config = _input(inner)
    else:
        config, lost = layer_arguments(kind, cls, inner)
        if lost:
            problems.append(f"its {kind} takes no {', '.join(lost)} ({inner.get('name', 'without a name')})")
        for key in _INNER:
            if isinstance(config.get(key), Mapping) and "class_name" in config[key]:
                config[key] = _entry(config[key], problems)
    module, registered = saved_reference(cls)
    return {"module": module, "class_name": cls.__name__, "config": config, "registered_name": registered}


def _is_kerass(entry: Mapping[str, Any]) -> bool:
    """Whether a class is Keras's own; files before 2.13 give the bare name."""
    module = entry.get("module")
    return "module" not in entry or (isinstance(module, str) and module.split(".")[0] in _OWN_MODULES)


def _input(inner: Mapping[str, Any]) -> dict[str, Any]:
    shape = inner.get("batch_input_shape", inner.get("batch_shape"))
    kept = {key: inner[key] for key in ("name", "dtype", "sparse") if inner.get(key) is not None}
    return {**kept, "batch_shape": shape}


def _sequential(inner: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    layers = [entry for entry in inner.get("layers", ()) if isinstance(entry, Mapping)]
    rewritten = [_entry(entry, problems) for entry in layers]
    if layers and layers[0].get("class_name") != "InputLayer":
        first = layers[0].get("config")
        shape = first.get("batch_input_shape") if isinstance(first, Mapping) else None
        shape = shape or inner.get("build_input_shape")
        if isinstance(shape, list):
            rewritten.insert(0, _input_entry(shape, first if isinstance(first, Mapping) else {}))
    config: dict[str, Any] = {"layers": rewritten}
    return {"name": inner["name"].replace("/", "_"), **config} if isinstance(inner.get("name"), str) else config


def _input_entry(shape: list[Any], first: Mapping[str, Any]) -> dict[str, Any]:
    dtype = first.get("dtype")
    config = {"batch_shape": shape, **({"dtype": dtype} if isinstance(dtype, str) and dtype.startswith("f") else {})}
    return {"module": "keras.layers", "class_name": "InputLayer", "config": config, "registered_name": None}


def _functional(inner: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    inner = _with_plain_names(_without_training_outputs(inner))
    layers = [entry for entry in inner.get("layers", ()) if isinstance(entry, Mapping)]
    graph = _Graph({_name(entry): entry for entry in layers})
    for entry in layers:
        for node in entry.get("inbound_nodes") or ():
            graph.see(node)
    outputs = inner.get("output_layers", [])
    graph.see(outputs)
    rewritten = []
    for entry in layers:
        nodes = [graph.node(node, entry) for node in entry.get("inbound_nodes") or ()]
        layer = _entry(entry, problems)
        if layer["class_name"] == operations.CLASS_NAME:
            layer["config"]["constants"] = _constants(nodes, entry, problems)
        rewritten.append({**layer, "name": _name(entry), "inbound_nodes": nodes})
    config = {
        "layers": rewritten,
        "input_layers": _single(inner.get("input_layers", [])),
        "output_layers": _single(graph.outputs(outputs)),
    }
    kept = {key: inner[key] for key in ("name", "trainable") if key in inner}
    if isinstance(kept.get("name"), str):
        kept["name"] = kept["name"].replace("/", "_")
    return {**kept, **config}


def _constants(nodes: list[Any], entry: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """Take a function's arguments that are no tensors out of its call: Keras 3 does not mix them with tensors."""
    taken: list[dict[str, Any]] = []
    for node in nodes:
        kwargs = node["kwargs"]
        taken.append({key: kwargs.pop(key) for key in list(kwargs) if not _holds_tensor(kwargs[key])})
    if any(constants != taken[0] for constants in taken):
        problems.append(f"{_name(entry)} is called with different arguments")
    return taken[0] if taken else {}


def _holds_tensor(value: Any) -> bool:
    if isinstance(value, Mapping):
        return value.get("class_name") == "__keras_tensor__" or any(map(_holds_tensor, value.values()))
    return isinstance(value, list) and any(map(_holds_tensor, value))


def _single(tensors: Any) -> Any:
    """One tensor in place of a list of one: a model of one input takes it as it is."""
    return tensors[0] if isinstance(tensors, list) and len(tensors) == 1 else tensors


def _without_training_outputs(inner: Mapping[str, Any]) -> Mapping[str, Any]:
    """The description without what `add_loss` and `add_metric` left in it: no output of the model needs that."""
    layers = [entry for entry in inner.get("layers", ()) if isinstance(entry, Mapping)]
    if not any(entry.get("class_name") in _TRAINING_OUTPUTS for entry in layers):
        return inner
    by_name = {_name(entry): entry for entry in layers}
    needed: set[str] = set()
    todo = [*_named_in(inner.get("output_layers"), by_name)]
    while todo:
        name = todo.pop()
        if name not in needed:
            needed.add(name)
            todo += _named_in(by_name[name].get("inbound_nodes"), by_name)
    # Layers with weights stay, as a .h5 file gives weights by the layers' order.
    weightless = (*_TRAINING_OUTPUTS, *operations.LAYERS)
    kept = [e for e in layers if _name(e) in needed or e.get("class_name") not in weightless]
    return {**inner, "layers": kept}


def _named_in(value: Any, names: Mapping[str, Any]) -> Iterator[str]:
    """The names of layers at any depth of a call or an output."""
    if isinstance(value, str):
        if value in names:
            yield value
    elif isinstance(value, list):
        for part in value:
            yield from _named_in(part, names)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _named_in(part, names)


def _with_plain_names(inner: Mapping[str, Any]) -> Mapping[str, Any]:
    """The description with layers renamed whose names Keras 3 forbids ("Conv/BatchNorm" of MobileNetV3)."""
    layers = [entry for entry in inner.get("layers", ()) if isinstance(entry, Mapping)]
    names = [_name(entry) for entry in layers]
    renamed: dict[str, str] = {}
    for name in names:
        if "/" in name:
            plain = name.replace("/", "_")
            while plain in names or plain in renamed.values():
                plain += "_"
            renamed[name] = plain
    if not renamed:
        return inner

    def applied(value: Any) -> Any:
        if isinstance(value, list):
            call = len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int)
            return [renamed.get(value[0], value[0]), *map(applied, value[1:])] if call else [*map(applied, value)]
        return {key: applied(part) for key, part in value.items()} if isinstance(value, Mapping) else value

    changed = []
    for entry, name in zip(layers, names, strict=True):
        named = {**entry, "name": renamed.get(name, name), "inbound_nodes": applied(entry.get("inbound_nodes") or [])}
        if isinstance(entry.get("config"), Mapping):
            named["config"] = {**entry["config"], "name": renamed.get(name, name)}
        changed.append(named)
    ends = {key: applied(inner[key]) for key in ("input_layers", "output_layers") if key in inner}
    return {**inner, "layers": changed, **ends}


def _name(entry: Mapping[str, Any]) -> str:
    inner = entry.get("config")
    inner = inner if isinstance(inner, Mapping) else {}
    return str(entry.get("name", inner.get("name", "")))


class _Graph:
    """Which call of which layer each tensor comes from.

    Keras 2 counts a model's own making as its first call; Keras 3 does not.
    """

    def __init__(self, layers: Mapping[str, Mapping[str, Any]]) -> None:
        self._layers = layers
        self._first: dict[str, int] = {}

    def see(self, value: Any) -> None:
        """Note the lowest number of a call of each model used as a layer."""
        if self._is_tensor(value):
            name, index = value[0], value[1]
            if str(self._layers[name].get("class_name")) in _MODELS:
                self._first[name] = min(index, self._first.get(name, index))
            for more in value[3:]:
                self.see(more)
        elif isinstance(value, list):
            for part in value:
                self.see(part)
        elif isinstance(value, Mapping):
            for part in value.values():
                self.see(part)

    def node(self, node: Any, entry: Mapping[str, Any]) -> Any:
        """One call in Keras 3's words: arguments, with tensors as objects."""
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


def _operation(inner: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    function = str(inner.get("function"))
    if function not in operations.FUNCTIONS:
        problems.append(f"it has no counterpart of the function tf.{function}")
    config = {"function": function, "name": inner.get("name"), "trainable": False}
    return {
        "module": operations.__name__,
        "class_name": operations.CLASS_NAME,
        "config": config,
        "registered_name": operations.REGISTERED_NAME,
    }
