"""Open a `.keras` file: what it is, and the model in it."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_fm_export.compat.tensorflow_setup import import_keras, quiet, require_tensorflow
from edge_fm_export.third_party_models.keras2 import DAMAGED_ZIP, KerasVersion, keras2_advice, keras_file_version
from edge_fm_runtime.errors import ModelError
from edge_fm_runtime.system.brief_errors import brief
from edge_fm_runtime.system.json_text import parse_json
from edge_fm_runtime.system.scratch import scratch_folder

_CONFIG = "config.json"
_MAX_CONFIG_BYTES = 64 << 20
_MAX_DEPTH = 200


def load_keras_file(
    path: Path, *, trust: bool = False, config: dict[str, Any] | None = None, version: KerasVersion | None = None
) -> Any:
    """Load a model from a `.keras` file, uncompiled.

    Args:
        path: the file.
        trust: run code that the file carries; `third_party_models.safety` finds it before anything is loaded.
        config: a description of the model to build in place of the file's own.
        version: the Keras that wrote the file; None reads it from the file.

    Returns:
        keras.Model

    Raises:
        ModelError: not a `.keras` file, or Keras cannot read it.
        MissingDependencyError: Keras or TensorFlow is not installed.
    """
    read_config(path)
    _, keras = require_tensorflow("loading a Keras model")
    try:
        with quiet(), _described_by(path, config) as file:
            return keras.saving.load_model(file, compile=False, safe_mode=not trust)
    except Exception as error:
        raise cannot_load(error, path, version or keras_file_version(path)) from error


@contextmanager
def _described_by(path: Path, config: dict[str, Any] | None) -> Iterator[Path]:
    """The file under a name that Keras knows, or a temporary copy of it with another description."""
    if config is None:
        with _named(path, ".keras") as named:
            yield named
        return
    with scratch_folder() as folder:
        copy = folder / "model.keras"
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w") as target:
            for entry in source.infolist():
                if entry.filename == _CONFIG:
                    target.writestr(_CONFIG, json.dumps(config))
                else:
                    with source.open(entry) as old, target.open(entry.filename, "w", force_zip64=True) as new:
                        shutil.copyfileobj(old, new, 1 << 20)
        yield copy


@contextmanager
def _named(path: Path, suffix: str) -> Iterator[Path]:
    """The file, or a link to it with the suffix in the small letters by which Keras knows the format (MODEL.KERAS)."""
    if path.suffix == path.suffix.lower():
        yield path
        return
    with scratch_folder() as folder:
        link = folder / f"model{suffix}"
        link.symlink_to(path.resolve())
        yield link


@contextmanager
def h5_described_by(path: Path, config: dict[str, Any] | None) -> Iterator[Path]:
    """A legacy `.h5` file, or a temporary copy of it with another description."""
    import h5py

    if config is None:
        with _named(path, ".h5") as named:
            yield named
        return
    with scratch_folder() as folder:
        copy = shutil.copyfile(path, folder / "model.h5")
        with h5py.File(copy, "a") as file:
            file.attrs["model_config"] = json.dumps(config).encode()
        yield copy


def cannot_load(error: Exception, path: Path, version: KerasVersion) -> ModelError:
    """The error that Keras cannot rebuild the model in `path`, with what to do by the version that wrote it."""
    keras = import_keras()

    running = keras.__version__
    failed = f"Keras {running} cannot load {path}: {brief(_innermost(error))}"
    if version.is_keras2:
        return ModelError(f"{failed} It was written by {version.describe()}.", hint=keras2_advice(path, version))
    if version.is_newer_than(running):
        return ModelError(
            f"{failed} It was written by the newer {version.describe()}.", hint=f"pip install 'keras>={version.text}'"
        )
    return ModelError(
        failed,
        hint="Where the model can be opened, export it as a SavedModel: model.export('folder')   "
        "and then: edgefm export folder",
    )


def _innermost(error: BaseException) -> BaseException:
    """What went wrong first: Keras wraps it once for each model around the layer, in errors that do not name it."""
    while error.__context__ is not None and isinstance(error.__context__, TypeError | ValueError):
        error = error.__context__
    return error


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
