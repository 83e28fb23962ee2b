"""Every engine that the API knows: the runtime's, and the references of the export side."""

from __future__ import annotations

from edge_fm_export.browser_runtime import BROWSER_ENGINES
from edge_fm_export.engines import REFERENCE_ENGINES
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.engines import ENGINES, Registry

ALL_ENGINES: Registry = {**ENGINES, **REFERENCE_ENGINES, **BROWSER_ENGINES}


def select_engine(artifact: Artifact, engine: str) -> str:
    """The engine that measures an artifact: a SavedModel runs on TensorFlow alone, the others on the given one."""
    return "savedmodel" if artifact.metadata.format == "savedmodel" else engine
