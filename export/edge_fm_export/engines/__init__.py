"""The reference engines: what an exported model is compared with."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from edge_fm_export.context import SourceModel
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.engines import Engine, EngineOptions, Registry
from edge_fm_runtime.errors import EngineError

REFERENCE_ENGINES: Registry = {
    "keras": "edge_fm_export.engines.keras_engine:KerasEngine",
    "keras-predict": "edge_fm_export.engines.keras_engine:KerasPredictEngine",
    "savedmodel": "edge_fm_export.engines.savedmodel_engine:SavedModelEngine",
}
"""Merged with `edge_fm_runtime.engines.ENGINES` by the layers above. "savedmodel" runs artifacts; the Keras ones run a
`SourceModel`: see `reference_engine`."""


def reference_engine(name: str, model: SourceModel | Artifact, options: EngineOptions | None = None) -> Engine:
    """Build the reference engine `name`.

    Args:
        name: a key of `REFERENCE_ENGINES`.
        model: the source model for "keras" and "keras-predict", a SavedModel artifact for "savedmodel".
        options: its device and threads.

    Raises:
        EngineError: no such engine, or it does not run such a model.
        DeviceError: the device does not exist.
    """
    if name not in REFERENCE_ENGINES:
        raise EngineError(f"There is no reference engine {name!r}; there are: {', '.join(REFERENCE_ENGINES)}.")
    module, _, attribute = REFERENCE_ENGINES[name].partition(":")
    factory = cast(
        "Callable[[SourceModel | Artifact, EngineOptions], Engine]", getattr(import_module(module), attribute)
    )
    return factory(model, options or EngineOptions())
