"""A Keras 2 model's description (`config.json` or `model_config`) rewritten as Keras 3 writes one.

Keras 3 reads some of Keras 2's files: those without an argument that it has dropped since, without a model used as a
layer, and without an operator on tensors. What is rewritten here is the rest. An argument that Keras 3 lacks is left
out only where its value changes no prediction; anything else is an error whose hint is how to export the model instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_fm_export.compat.keras_internals import saved_reference
from edge_fm_export.third_party_models.keras2 import operations
from edge_fm_export.third_party_models.keras2.call_graph import MODELS, CallGraph, layer_name
from edge_fm_export.third_party_models.keras2.layers import GONE, layer_arguments, layer_class
from edge_fm_export.third_party_models.keras2.version import KerasVersion
from edge_fm_runtime.errors import ModelError

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
        version: the Keras that wrote it.

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
    cls = layer_class(kind) if _is_of_keras(entry) else None
    if cls is None:
        if kind in GONE or (_is_of_keras(entry) and "module" in entry):
            problems.append(f"it has no layer {kind}")
        return dict(entry)
    if kind == "Sequential" and isinstance(inner, list):  # as Keras before 2.2.3 wrote it
        inner = {"layers": inner}
    if not isinstance(inner, Mapping):
        problems.append(f"the layer {kind} has no description")
        return dict(entry)
    if kind in MODELS:
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


def _is_of_keras(entry: Mapping[str, Any]) -> bool:
    """Whether a class is one of Keras; files before 2.13 give the bare name."""
    module = entry.get("module")
    return "module" not in entry or (isinstance(module, str) and module.split(".")[0] in _OWN_MODULES)


def _input(inner: Mapping[str, Any]) -> dict[str, Any]:
    shape = inner.get("batch_input_shape", inner.get("batch_shape"))
    given = {key: inner[key] for key in ("name", "dtype", "sparse") if inner.get(key) is not None}
    return {**given, "batch_shape": shape}


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
    graph = CallGraph({layer_name(entry): entry for entry in layers})
    for entry in layers:
        for node in entry.get("inbound_nodes") or ():
            graph.count_calls(node)
    outputs = inner.get("output_layers", [])
    graph.count_calls(outputs)
    rewritten = []
    for entry in layers:
        nodes = [graph.node(node, entry) for node in entry.get("inbound_nodes") or ()]
        layer = _entry(entry, problems)
        if layer["class_name"] == operations.CLASS_NAME:
            layer["config"]["constants"] = _constants(nodes, entry, problems)
        rewritten.append({**layer, "name": layer_name(entry), "inbound_nodes": nodes})
    config = {
        "layers": rewritten,
        "input_layers": _single(inner.get("input_layers", [])),
        "output_layers": _single(graph.outputs(outputs)),
    }
    given = {key: inner[key] for key in ("name", "trainable") if key in inner}
    if isinstance(given.get("name"), str):
        given["name"] = given["name"].replace("/", "_")
    return {**given, **config}


def _constants(nodes: list[Any], entry: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """Take a function's arguments that are no tensors out of its call: Keras 3 does not mix them with tensors."""
    taken: list[dict[str, Any]] = []
    for node in nodes:
        kwargs = node["kwargs"]
        taken.append({key: kwargs.pop(key) for key in list(kwargs) if not _holds_tensor(kwargs[key])})
    if any(constants != taken[0] for constants in taken):
        problems.append(f"{layer_name(entry)} is called with different arguments")
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
    by_name = {layer_name(entry): entry for entry in layers}
    needed: set[str] = set()
    todo = [*_named_in(inner.get("output_layers"), by_name)]
    while todo:
        name = todo.pop()
        if name not in needed:
            needed.add(name)
            todo += _named_in(by_name[name].get("inbound_nodes"), by_name)
    # Layers with weights stay, as a .h5 file gives weights by the layers' order.
    weightless = (*_TRAINING_OUTPUTS, *operations.LAYERS)
    return {**inner, "layers": [e for e in layers if layer_name(e) in needed or e.get("class_name") not in weightless]}


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
    names = [layer_name(entry) for entry in layers]
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
