"""What to do where something that is not an artifact was given in its place; loaded only to say so."""

from __future__ import annotations

import shlex
from difflib import get_close_matches
from pathlib import Path

from edge_fm_runtime.artifacts.metadata import METADATA_FILE
from edge_fm_runtime.artifacts.packaged import packaged_names

_SHOWN = 5
_MODELS = (".keras", ".h5", ".hdf5")


def advice(path: Path) -> str:
    """Say what to type instead of `path`.

    Args:
        path: a folder without metadata, a file that is not an artifact, or nothing that exists.
    """
    if path.is_dir():
        made = sorted(file.parent for file in path.glob(f"export/*/{METADATA_FILE}"))
        made = made or sorted(file.parent for file in path.glob(f"*/{METADATA_FILE}"))
        if made:
            more = f" and {len(made) - _SHOWN} more" if len(made) > _SHOWN else ""
            return f"Give one of the artifacts in it: {', '.join(_quoted(folder) for folder in made[:_SHOWN])}{more}"
        if (path / "model.keras").is_file() or (path / "saved_model.pb").is_file():
            return f"Export it first: edgefm export {_quoted(path)}"
    elif path.suffix.lower() in _MODELS and path.is_file():
        return f"Export it first: edgefm export {_quoted(path)}"
    elif not path.exists() and (near := get_close_matches(path.name, packaged_names(), n=1, cutoff=0.4)):
        return f"Did you mean {near[0]!r}, the one in the package?"
    return "Make one from a model: edgefm export MODEL.keras"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
