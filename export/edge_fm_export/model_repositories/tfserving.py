"""The repository of TensorFlow Serving: `models.config`, `NAME/VERSION/saved_model.pb` with its variables.

`models.config` is a `ModelServerConfig` protobuf as text
(https://github.com/tensorflow/serving/blob/master/tensorflow_serving/config/model_server_config.proto).
"""

from __future__ import annotations

from pathlib import Path

from edge_fm_export.model_repositories.protobuf_text import quoted
from edge_fm_export.model_repositories.savedmodel_files import inside_savedmodel
from edge_fm_runtime.artifacts.metadata import Metadata
from edge_fm_runtime.errors import ExportError
from edge_fm_runtime.system.atomic_write import write_utf8

CONFIG = "models.config"
_BEGIN, _END = "model_config_list {\n", "}\n"


def place(metadata: Metadata, file: str) -> str:
    """The files of the SavedModel lie in the version's folder itself."""
    return inside_savedmodel(metadata, file)


def configure(repository: Path, name: str, metadata: Metadata, mount: str) -> dict[Path, bool]:
    """Add the model to `models.config`.

    Raises:
        ExportError: the file is there and is not as EdgeFM writes it, so that nothing can be added safely.
    """
    path = repository / CONFIG
    base = f"{mount.rstrip('/')}/{name}"
    entry = f'  config {{ name: {quoted(name)} base_path: {quoted(base)} model_platform: "tensorflow" }}\n'
    entries = _entries(path, entry) if path.exists() else []
    if entry in entries:
        return {path: False}
    write_utf8(path, _BEGIN + "".join([*entries, entry]) + _END)
    return {path: True}


def _entries(path: Path, wanted: str) -> list[str]:
    """The lines of the models that are listed."""
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ExportError(
            f"{path} cannot be read: {error}", hint="Write to another folder: --repository DIR"
        ) from error
    if wanted in text.splitlines(keepends=True):
        return [wanted]
    lines = text.splitlines(keepends=True)
    inside = lines[1:-1]
    ours = lines[:1] == [_BEGIN] and lines[-1:] == [_END] and all(line.startswith("  config { ") for line in inside)
    name = wanted.split(" base_path: ", maxsplit=1)[0]
    if not ours or any(line.startswith(f"{name} ") for line in inside):
        raise ExportError(
            f"{path} was edited, or lists this model at another place; it is left as it is, and nothing was written.",
            hint=f"Add or correct this line inside of model_config_list {{ }}: {wanted.strip()}",
        )
    return inside
