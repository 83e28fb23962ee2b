"""Turns files of Keras 3 into those that Keras 2.13 to 2.15 and tf_keras write: the same weights, other descriptions.

A file's description, its version and its weights' places are changed into those of real files of Keras 2.15.0 and
tf_keras 2.21.0.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from field.case import Model

_EXTRA: dict[str, dict[str, Any]] = {
    "DepthwiseConv2D": {"groups": 1, "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}}},
    "SeparableConv2D": {"groups": 1},
    "BatchNormalization": {"fused": True, "renorm": False, "virtual_batch_size": None},
    "LSTM": {"time_major": False, "implementation": 2},
    "GRU": {"time_major": False, "implementation": 2},
    "MultiHeadAttention": {"query_shape": [None, 4, 8], "key_shape": [None, 4, 8], "value_shape": [None, 4, 8]},
    "RandomFlip": {"rng_type": "stateful"},
}
_DROPPED = ("autocast", "quantization_config", "gate", "flash_attention", "synchronized", "rms_scaling")


def _layer(entry: dict[str, Any], *, h5: bool, engine: str) -> dict[str, Any]:
    kind, config = entry["class_name"], dict(entry["config"])
    if isinstance(config.get("dtype"), dict):
        config["dtype"] = config["dtype"]["config"]["name"]
    config = {key: value for key, value in config.items() if key not in _DROPPED} | _EXTRA.get(kind, {})
    if kind == "InputLayer":
        config = {"batch_input_shape": config["batch_shape"], "dtype": "float32", "sparse": False, "ragged": False} | {
            "name": config["name"]
        }
    if kind == "LeakyReLU":
        config["alpha"] = config.pop("negative_slope")
    if kind == "BatchNormalization" and isinstance(config["axis"], int):
        config["axis"] = [3]
    for key in ("layer", "forward_layer"):
        if isinstance(config.get(key), dict):
            config[key] = _layer(config[key], h5=h5, engine=engine)
    if kind in ("Functional", "Sequential"):
        config = _model(entry, h5=h5, engine=engine)["config"]
    changed = {"class_name": kind, "config": config}
    if not h5:
        module = f"{engine}.engine.functional" if kind == "Functional" else entry["module"]
        changed |= {"module": module, "registered_name": None, "build_config": {"input_shape": [None]}}
    if "inbound_nodes" in entry:
        changed |= {"name": entry["name"], "inbound_nodes": [_call(node) for node in entry["inbound_nodes"]]}
    return changed


def _call(node: dict[str, Any]) -> Any:
    """[[name, node, tensor, kwargs], ...] of a Keras 3 call."""
    flat = node["args"][0] if isinstance(node["args"][0], list) else [node["args"][0]]
    kwargs = {
        key: _history(value) if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__" else value
        for key, value in node["kwargs"].items()
        if value is not None
    }
    return [[*_history(tensor), kwargs] for tensor in flat]


def _history(tensor: dict[str, Any]) -> list[Any]:
    return list(tensor["config"]["keras_history"])


def _model(entry: dict[str, Any], *, h5: bool, engine: str) -> dict[str, Any]:
    config = dict(entry["config"])
    layers = [_layer(layer, h5=h5, engine=engine) for layer in config["layers"]]
    if entry["class_name"] == "Sequential":
        inner = {"name": config["name"], "layers": layers}
    else:
        ends = {key: _listed(config[key]) for key in ("input_layers", "output_layers")}
        inner = {"name": config["name"], "trainable": True, "layers": layers, **ends}
        # Keras 2 counts a model's own making as its first call.
        models = {layer["name"] for layer in layers if layer["class_name"] in ("Functional", "Sequential")}
        inner["layers"] = json.loads(json.dumps(layers), object_hook=lambda o: _counted(o, models))
    changed = {"class_name": entry["class_name"], "config": inner}
    if not h5:
        module = "keras" if entry["class_name"] == "Sequential" else f"{engine}.engine.functional"
        changed |= {"module": module, "registered_name": entry["class_name"]}
    return changed


def _listed(ends: Any) -> Any:
    return [ends] if ends and isinstance(ends[0], str) else ends


def _counted(value: dict[str, Any], models: set[str]) -> dict[str, Any]:
    for node in value.get("inbound_nodes", ()):
        for tensor in node:
            if tensor[0] in models:
                tensor[1] += 1
    return value


def written_by(model: Model, version: str, edit: Callable[[dict[str, Any]], None] | None = None) -> Model:
    """Turn the file of Keras 3 into one of `version`.

    Args:
        model: a `.keras` or `.h5` file that Keras 3 wrote.
        version: of Keras 2, or of tf_keras from 2.16 on.
        edit: changes the description further, in place.
    """
    import h5py

    engine = "tf_keras.src" if int(version.split(".")[1]) >= 16 else "keras.src"
    if model.path.suffix == ".h5":
        with h5py.File(model.path, "a") as file:
            config = _model(json.loads(file.attrs["model_config"]), h5=True, engine=engine)
            if edit is not None:
                edit(config)
            file.attrs["model_config"] = json.dumps(config)
            file.attrs["keras_version"] = version
        return model
    old = model.path.rename(model.path.with_name("keras3.zip"))
    with zipfile.ZipFile(old) as source, zipfile.ZipFile(model.path, "w") as target:
        config = _model(json.loads(source.read("config.json")), h5=False, engine=engine)
        config["compile_config"] = {"optimizer": "adam", "loss": "my_loss"}
        if edit is not None:
            edit(config)
        target.writestr("config.json", json.dumps(config))
        target.writestr("metadata.json", json.dumps({"keras_version": version, "date_saved": "2024-01-01@00:00:00"}))
        weights = Path(source.extract("model.weights.h5", old.parent))
    with h5py.File(weights, "a") as file:
        _rename_layers(file)
    with zipfile.ZipFile(model.path, "a") as target:
        target.write(weights, "model.weights.h5")
    weights.unlink()
    old.unlink()
    return model


def _rename_layers(group: Any) -> None:
    for name in list(group):
        child = group[name]
        if hasattr(child, "keys"):
            _rename_layers(child)
        if name == "layers":
            group.move("layers", "_layer_checkpoint_dependencies")
