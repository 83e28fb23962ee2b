"""Where runs and artifacts lie, and which one is meant where none is named."""

from __future__ import annotations

import os
from pathlib import Path

from edge_fm_runtime.errors import ArtifactError
from edge_fm_runtime.progress import MessageFn, ignore_message

RUNS = Path("runs")
EXPORTS = "export"
"""Folder of a run that holds its artifacts."""
MODEL_VARIABLE = "EDGEFM_MODEL"
"""The environment variable that names an artifact."""


def is_run(path: Path) -> bool:
    """Whether `path` is a training run."""
    return (path / "model.keras").is_file()


def run_of(path: Path) -> Path | None:
    """The run that `path` is, or whose model or artifact it is; None where there is none."""
    around = path if path.is_dir() else path.parent
    if around.parent.name == EXPORTS:
        around = around.parent.parent
    return around if is_run(around) else None


def latest_export() -> Path | None:
    """The newest artifact under `runs/` that an installed engine can run, or None."""
    from importlib.util import find_spec

    from edge_fm_runtime.artifacts.files import read_small
    from edge_fm_runtime.artifacts.metadata import METADATA_FILE
    from edge_fm_runtime.system.json_text import parse_json

    found = [p for p in RUNS.glob(f"*/{EXPORTS}/*/{METADATA_FILE}") if not p.parts[1].startswith("latest")]
    packages = {
        **{"onnx": "onnxruntime", "web": "onnxruntime", "openvino": "openvino"},
        **{"litert": "ai_edge_litert", "tflm": "tflite_micro"},
    }
    for file in sorted(found, key=lambda p: p.stat().st_mtime_ns, reverse=True):
        try:
            package = packages.get(parse_json(read_small(file)).get("format"))
        except (ArtifactError, ValueError, AttributeError, TypeError):
            continue  # not readable as an artifact: naming it with --model says what is wrong with it
        if package and find_spec(package):
            return file.parent
    return None


def shipped_model() -> Path | None:
    """The artifact inside the package, or None where none is shipped."""
    from edge_fm_runtime.artifacts.packaged import DEFAULT_MODEL, packaged_artifact

    return packaged_artifact(DEFAULT_MODEL)


def select_artifact(given: str | Path | None, note: MessageFn = ignore_message) -> Path:
    """The artifact that is given, else `$EDGEFM_MODEL`, the newest export, or the shipped one, with a note on which.

    Raises:
        ArtifactError: there is none.
    """
    if given is not None:
        return Path(given)
    if from_environment := os.environ.get(MODEL_VARIABLE):
        note(f"Model: {from_environment} ($EDGEFM_MODEL)")
        return Path(from_environment)
    if (newest := latest_export()) is not None:
        note(f"Model: {newest} (the newest export under {RUNS}/)")
        return newest
    if (shipped := shipped_model()) is not None:
        note(f"Model: {shipped.name}, shipped with edge-fm")
        return shipped
    raise ArtifactError(
        f"No model: --model was not given, $EDGEFM_MODEL is not set, and nothing is exported under {RUNS}/ here.",
        hint="Make one: edgefm quickstart, or edgefm train && edgefm export",
    )


def select_model(given: str | Path | None, note: MessageFn) -> Path:
    """The model that is given, else the newest finished run, with a note on which.

    Raises:
        ModelError: there is none.
    """
    if given is not None:
        from edge_fm.models.records import trained_model

        return trained_model(given)
    from edge_fm_runtime.errors import ModelError

    latest = RUNS / "latest"
    if not is_run(latest):
        raise ModelError(
            f"No model was given, and {latest} holds no finished run.",
            hint="Train one: edgefm train   or give a file: edgefm export MODEL.keras",
        )
    run = latest.parent / latest.readlink() if latest.is_symlink() else latest
    note(f"Model: {run} (the newest run)")
    return run
