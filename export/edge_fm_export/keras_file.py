"""Open a `.keras` file: what it is, and the model in it."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from pathlib import Path
from typing import Any

from edge_fm_export.tensorflow_setup import quiet, require_tensorflow
from edge_fm_runtime.errors import ModelError
from edge_fm_runtime.json_text import parse_json

_CONFIG = "config.json"
_MAX_CONFIG_BYTES = 64 << 20
_MAX_DEPTH = 200
DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError, NotImplementedError, RuntimeError)
"""What zipfile raises on an archive that is damaged, encrypted or compressed in a way that Python cannot read."""


def load_keras_file(path: Path, *, trust: bool = False) -> Any:
    """Load a model from a `.keras` file, uncompiled.

    Args:
        path: the file.
        trust: run code that the file carries; `edge_fm_export.safety` says what there is before anything is loaded.

    Returns:
        keras.Model

    Raises:
        ModelError: not a `.keras` file, or Keras cannot read it.
        MissingDependencyError: Keras or TensorFlow is not installed.
    """
    read_config(path)
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
            config = parse_json(archive.read(_CONFIG))
    except DAMAGED_ZIP as error:
        raise ModelError(f"{path} is not a readable .keras file: {error}.", hint=hint) from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.", hint=hint) from error
    if not isinstance(config, dict):
        raise ModelError(f"{path} is not a readable .keras file: its {_CONFIG} holds no object.", hint=hint)
    require_shallow(config, path)
    return config


def require_shallow(config: object, path: Path) -> None:
    """Raise if a model's description is nested deeper than any model's is: its readers, Keras's too, are recursive.

    Raises:
        ModelError: it is.
    """
    level: list[Any] = [config]
    for _ in range(_MAX_DEPTH):
        if not level:
            return
        level = [
            child
            for value in level
            for child in (value.values() if isinstance(value, dict) else value)
            if isinstance(child, dict | list)
        ]
    raise ModelError(
        f"The model's description in {path} is nested more than {_MAX_DEPTH} deep.",
        hint="The file is damaged or hostile; models nested in each other a few times are fine.",
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


def _brief(error: Exception) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
