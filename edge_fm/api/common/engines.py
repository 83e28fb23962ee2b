"""Every engine that the API knows: the runtime's, and the references of the export side."""

from __future__ import annotations

from collections.abc import Collection

from edge_fm_export.browser_runtime import BROWSER_ENGINES
from edge_fm_export.engines import REFERENCE_ENGINES
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.engines import ENGINES, Registry

ALL_ENGINES: Registry = {**ENGINES, **REFERENCE_ENGINES, **BROWSER_ENGINES}


def select_engine(artifact: Artifact, engine: str, *, beside: Collection[Artifact] = ()) -> str:
    """The engine that measures an artifact: a SavedModel runs on TensorFlow alone, the others on the given one.

    Args:
        artifact: what is measured.
        engine: what was asked for.
        beside: what is measured in the same run. The engine "web" runs web artifacts alone; artifacts of other formats
            beside one run on their format's own engine, so that one table shows both.
    """
    if artifact.metadata.format == "savedmodel":
        return "savedmodel"
    if engine == "web" and artifact.metadata.format != "web" and any(a.metadata.format == "web" for a in beside):
        return "auto"
    return engine
