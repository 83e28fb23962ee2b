"""The repository of OpenVINO Model Server: `config.json`, `NAME/VERSION/` with the payload.

Its keys: https://docs.openvino.ai/2025/model-server/ovms_docs_parameters.html
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge_fm_export.model_repositories.savedmodel_files import inside_savedmodel
from edge_fm_runtime.artifacts.metadata import Metadata
from edge_fm_runtime.errors import ExportError
from edge_fm_runtime.system.atomic_write import write_utf8

CONFIG = "config.json"


def place(metadata: Metadata, file: str) -> str:
    """The server tells the format by the files' suffixes; a SavedModel's files lie in the version's folder itself."""
    return inside_savedmodel(metadata, file) if metadata.format == "savedmodel" else file


def configure(repository: Path, name: str, metadata: Metadata, mount: str) -> dict[Path, bool]:
    """Add the model to `config.json`, whose other entries stay as they are.

    Raises:
        ExportError: the file is there and holds something else, or names another folder for this model.
    """
    path = repository / CONFIG
    base = f"{mount.rstrip('/')}/{name}"
    content = _read(path) if path.exists() else {"model_config_list": []}
    for entry in content["model_config_list"]:
        config = entry.get("config") if isinstance(entry, dict) else None
        if isinstance(config, dict) and config.get("name") == name:
            if config.get("base_path") != base:
                raise ExportError(
                    f"{path} has the model {name} at {config.get('base_path')}, not at {base}.",
                    hint="Name that place, less the model: --server-path DIR; or name the model otherwise: "
                    "--model-name NAME",
                )
            return {path: False}
    content["model_config_list"].append({"config": {"name": name, "base_path": base}})
    write_utf8(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return {path: True}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ExportError(
            f"{path} cannot be read as JSON: {error}", hint="Mend it, or write to another folder: --repository DIR"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("model_config_list"), list):
        raise ExportError(
            f"{path} is no configuration of OpenVINO Model Server: it has no list model_config_list.",
            hint="Write to another folder: --repository DIR",
        )
    return content
