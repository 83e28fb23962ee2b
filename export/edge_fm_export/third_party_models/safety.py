"""What a model file would run when it is loaded, found by reading its description alone."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_fm_export.compat.tensorflow_setup import import_keras
from edge_fm_export.inference_config import inference_config
from edge_fm_export.third_party_models.keras_file import require_shallow
from edge_fm_runtime.errors import ModelError
from edge_fm_runtime.system.json_text import parse_json

_CODE_CLASSES = ("Lambda", "__lambda__")
_LOADING_CLASSES = ("TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
"""Layers that bring a graph or a pickle of their own from another file or from the description."""
_KERAS = ("keras", "keras_hub", "keras_cv", "keras_nlp", "builtins")
_MAX_CONFIG_BYTES = 64 << 20


@dataclass(frozen=True)
class CustomClass:
    """A class that a file names and does not hold.

    Attributes:
        name: such as "Patches".
        registered: its name in Keras's registry, such as "vision>Patches"; None where it has none.
        module: where it was defined; None where the file does not name it.
    """

    name: str
    registered: str | None
    module: str | None


@dataclass(frozen=True)
class Findings:
    """What a description holds besides plain Keras layers.

    Attributes:
        code: names of layers with Python code inside.
        loading: names of layers that load graphs from other files.
        custom: classes that must come from elsewhere.
    """

    code: tuple[str, ...] = ()
    loading: tuple[str, ...] = ()
    custom: tuple[CustomClass, ...] = ()


def inspect_config(config: object) -> Findings:
    """Look through a model's description, of a `.keras` file or of a legacy `.h5` file.

    Args:
        config: the parsed JSON.

    Example:
        >>> inspect_config({"class_name": "Lambda", "config": {"name": "scale"}}).code
        ('scale',)
    """
    code: dict[str, None] = {}
    loading: dict[str, None] = {}
    custom: dict[CustomClass, None] = {}
    for entry, owner in _objects(config, "?"):
        kind = str(entry["class_name"])
        if kind in _CODE_CLASSES or _legacy_function(entry):
            code[owner] = None
        elif kind in _LOADING_CLASSES:
            loading[owner] = None
        elif (found := _custom(entry, kind)) is not None:
            custom[found] = None
    return Findings(tuple(code), tuple(loading), tuple(custom))


def require_safe(config: object, path: Path, *, trust: bool, advice: str | None = None) -> Findings:
    """Raise if loading the model would run code that the file brings, unless it is trusted.

    Args:
        config: the parsed JSON.
        path: the file, for messages.
        trust: run it all the same.
        advice: what to do instead, where trusting the file would not help.

    Raises:
        ModelError: names the layers and `--trust`.
    """
    found = inspect_config(config)
    if trust:
        return found
    if found.code:
        layers = _list("a Lambda layer", "Lambda layers", found.code)
        raise ModelError(
            f"{path} carries Python code in {layers}; loading would run it.",
            hint=advice
            or "If you trust who made the file: --trust. Better: write it as a layer class with keras.ops, "
            "or as a Rescaling layer where it only scales.",
        )
    if found.loading:
        raise ModelError(
            f"{path} loads another program in {_list('the layer', 'the layers', found.loading)}; it could do anything.",
            hint=advice or "If you trust who made the files: --trust.",
        )
    return found


def require_plain(config: object, path: Path, *, advice: str) -> None:
    """Raise unless a description names nothing but Keras's own layers, so that no code from elsewhere is run.

    Args:
        config: the parsed JSON.
        path: the file, for messages.
        advice: what to do instead.

    Raises:
        ModelError: names the layers.
    """
    found = require_safe(
        inference_config(config) if isinstance(config, dict) else config, path, trust=False, advice=advice
    )
    custom_objects(found, path, trust=False, advice=advice)


def custom_objects(found: Findings, path: Path, *, trust: bool, advice: str | None = None) -> dict[str, Any]:
    """Find the custom classes of a description: those registered in this process, and with `trust` those importable.

    Args:
        found: as from `inspect_config`.
        path: the file, for messages.
        trust: import the modules that the description names.
        advice: what to do where a class is missing; None for the advice for files of Keras 3.

    Returns:
        What keras.saving.custom_object_scope takes.

    Raises:
        ModelError: a class is not defined; the message names it, and the hint what can be done.
    """
    keras = import_keras()

    objects: dict[str, Any] = {}
    missing = []
    for custom in found.custom:
        known = keras.saving.get_registered_object(custom.registered or custom.name)
        if known is None and trust and custom.module:
            known = _imported(custom, path)
        if known is None:
            missing.append(custom)
        else:
            objects[custom.registered or custom.name] = objects[custom.name] = known
    if missing:
        named = ", ".join(f"{m.name} (from {m.module})" if m.module else m.name for m in missing)
        importable = any(m.module for m in missing)
        raise ModelError(
            f"{path} has layers of its own, whose code is not in the file: {named}.",
            hint=advice
            or "Export it where the code is, and give the folder: model.export('folder'); edgefm export folder"
            + ("   or, if you trust that code, run here with the module on PYTHONPATH and --trust" * importable),
        )
    return objects


def read_h5_config(path: Path) -> dict[str, Any]:
    """The description in a legacy `.h5` file, without loading the model.

    Raises:
        ModelError: no HDF5 file, or one with weights alone.
    """
    import h5py

    hint = "Save the whole model: model.save('model.keras')"
    try:
        with h5py.File(path, "r") as file:
            raw = file.attrs.get("model_config")
    except OSError as error:
        raise ModelError(f"{path} is no HDF5 file: {error}.", hint=hint) from error
    if raw is None:
        raise ModelError(f"{path} holds weights alone: there is no model in it.", hint=hint)
    text = raw.decode() if isinstance(raw, bytes) else str(raw)
    try:
        if len(text) > _MAX_CONFIG_BYTES:
            raise ValueError(f"it is longer than {_MAX_CONFIG_BYTES} bytes")
        config = parse_json(text)
    except ValueError as error:
        raise ModelError(f"The model's description in {path} is no JSON: {error}.", hint=hint) from error
    if not isinstance(config, dict):
        raise ModelError(f"The model's description in {path} is no JSON object.", hint=hint)
    require_shallow(config, path)
    return config


def _objects(value: object, owner: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Every JSON object with a `class_name`, at any depth, and the name of the layer around it."""
    if isinstance(value, dict):
        inner = value.get("config")
        if "class_name" in value:
            if isinstance(inner, dict) and isinstance(inner.get("name"), str):
                owner = inner["name"]
            yield value, owner
        for child in value.values():
            yield from _objects(child, owner)
    elif isinstance(value, list):
        for child in value:
            yield from _objects(child, owner)


def _legacy_function(entry: Mapping[str, Any]) -> bool:
    """Whether a layer of a `.h5` file, whatever it is called, holds marshalled code ("function_type": "lambda")."""
    inner = entry.get("config")
    return isinstance(inner, dict) and "lambda" in (inner.get("function_type"), inner.get("output_shape_type"))


def _custom(entry: Mapping[str, Any], kind: str) -> CustomClass | None:
    module, registered = entry.get("module"), entry.get("registered_name")
    if "module" not in entry:
        return _custom_by_name(kind) if isinstance(entry.get("config"), dict) else None
    if kind.startswith("__") or (isinstance(module, str) and module.split(".")[0] in _KERAS):
        return None
    if kind == "function" and isinstance(entry.get("config"), str):
        kind = entry["config"]
    return CustomClass(kind, registered or None, module if isinstance(module, str) else None)


def _custom_by_name(kind: str) -> CustomClass | None:
    """Legacy descriptions give the bare class name."""
    keras = import_keras()

    places = (keras, keras.layers, keras.models, keras.initializers, keras.regularizers, keras.constraints)
    known = any(hasattr(place, kind) for place in (*places, keras.dtype_policies, keras.losses, keras.optimizers))
    legacy = ("Functional", "Policy", "__tuple__", "TensorShape", "DTypePolicy", "SlicingOpLambda", "TFOpLambda")
    return None if known or kind in legacy or kind.startswith("__") else CustomClass(kind, None, None)


def _imported(custom: CustomClass, path: Path) -> Any:
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        module = importlib.import_module(str(custom.module))
    except ImportError as error:
        raise ModelError(
            f"{path} needs the module {custom.module}, which cannot be imported: {error}.",
            hint=f"Put {custom.module} beside the file or on PYTHONPATH.",
        ) from error
    finally:
        sys.path.remove(folder)
    return getattr(module, custom.name, None)


def _list(one: str, many: str, names: tuple[str, ...]) -> str:
    return f"{one if len(names) == 1 else many} ({', '.join(names)})"
