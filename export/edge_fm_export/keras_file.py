"""Open a `.keras` file: what it is, what it would run when loaded, and only then the model."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_fm_export.tensorflow_setup import quiet, require_tensorflow
from edge_fm_runtime.errors import ModelError

_CONFIG = "config.json"
_MAX_CONFIG_BYTES = 64 << 20


def load_keras_file(path: Path, *, trust: bool = False) -> Any:
    """Load a model from a `.keras` file, uncompiled.

    Args:
        path: the file.
        trust: run code that the file carries (Lambda layers), and import the modules of its custom layers.

    Returns:
        keras.Model

    Raises:
        ModelError: not a `.keras` file, code that nobody vouched for, or Keras cannot read it.
        MissingDependencyError: Keras or TensorFlow is not installed.
    """
    config = read_config(path)
    if not trust:
        refuse_code(config, path)
    _, keras = require_tensorflow("loading a Keras model")
    try:
        with quiet():
            return keras.saving.load_model(path, compile=False, safe_mode=not trust)
    except Exception as error:
        raise ModelError(
            f"Keras {keras.__version__} cannot load {path}: {_brief(error)}",
            hint="Save it again with the Keras that made it: model.save('model.keras'). A model with custom layers "
            "needs them registered (keras.saving.register_keras_serializable).",
        ) from error


def read_config(path: Path) -> dict[str, Any]:
    """The architecture that a `.keras` file describes, without loading it.

    Raises:
        ModelError: it is no `.keras` file.
    """
    hint = "Give a run folder or a file saved with model.save('model.keras')."
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(_CONFIG).file_size > _MAX_CONFIG_BYTES:
                raise ModelError(f"The {_CONFIG} in {path} is larger than {_MAX_CONFIG_BYTES} bytes.", hint=hint)
            config = json.loads(archive.read(_CONFIG))
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        raise ModelError(f"{path} is no .keras file: {error}.", hint=hint) from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.", hint=hint) from error
    if not isinstance(config, dict):
        raise ModelError(f"{path} is no .keras file: its {_CONFIG} holds no object.", hint=hint)
    return config


def refuse_code(config: object, path: Path) -> None:
    """Raise if loading the model would run code from the file.

    Raises:
        ModelError: names the layers.
    """
    named = [
        str(layer.get("config", {}).get("name", "?"))
        for layer in _layers(config)
        if layer.get("class_name") in ("Lambda", "__lambda__")
    ]
    if named:
        raise ModelError(
            f"{path} carries Python code in a Lambda layer ({', '.join(dict.fromkeys(named))}); loading would run it.",
            hint="If you trust the file: --trust. Better: rewrite it with keras.ops in a layer class, or a Rescaling "
            "layer where it only scales.",
        )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files one after another in the order of their names."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _layers(value: object) -> Iterator[dict[str, Any]]:
    """Every JSON object with a `class_name`, at any depth."""
    if isinstance(value, dict):
        if "class_name" in value:
            yield value if isinstance(value.get("config"), dict) else {**value, "config": {}}
        for child in value.values():
            yield from _layers(child)
    elif isinstance(value, list):
        for child in value:
            yield from _layers(child)


def _brief(error: Exception) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
