"""A model that `evaluate` runs: an artifact on a device's engine, or a run or Keras file on Keras itself."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.api.common.places import is_run
from edge_fm_runtime.defaults import REQUIRE_SIGNATURE
from edge_fm_runtime.errors import SignatureError
from edge_fm_runtime.progress import MessageFn

if TYPE_CHECKING:
    from edge_fm_runtime.artifacts.metadata import PhotoSpec, Task
    from edge_fm_runtime.engines import Engine, EngineOptions


@dataclass(frozen=True, eq=False)
class OpenedModel:
    """A model that is ready to predict.

    Attributes:
        engine: runs it.
        labels: names of its classes.
        photo: how photos become its pixels.
        shape: height, width, channels of its images.
        training: what is known of how it was trained.
        scores: temperature and threshold of its scores, as metadata records them.
        original: the Keras model; None for an artifact.
        task: "multi-label", or None for one class of many.
        thresholds: of a multi-label model, from which score on each label applies; None for one class of many.
        outputs: names of what an artifact returns beside the probabilities.
    """

    engine: Engine
    labels: tuple[str, ...]
    photo: PhotoSpec
    shape: tuple[int, int, int]
    training: Mapping[str, Any] | None
    scores: Mapping[str, Any] | None
    original: Any = None
    task: Task | None = None
    thresholds: tuple[float, ...] | None = None
    outputs: tuple[str, ...] = ()


def open_model(path: Path, engine: str, options: EngineOptions, warn: MessageFn) -> OpenedModel:
    """Open an artifact on `engine`, or a run or Keras file on Keras; `warn` is called with what is doubtful of it."""
    if is_run(path) or path.suffix in (".keras", ".h5"):
        if REQUIRE_SIGNATURE in os.environ:
            raise SignatureError(
                f"{path} is a Keras model, which no signature covers; a signed artifact is required.",
                hint=f"Export it and sign the artifact: edgefm export {shlex.quote(str(path))}",
            )
        from edge_fm_export.engines import reference_engine
        from edge_fm_export.sources import load_source
        from edge_fm_export.task import source_thresholds

        source = load_source(path)
        for warning in source.warnings:
            warn(warning)
        running = reference_engine("keras", source, options)
        return OpenedModel(
            running,
            source.labels,
            source.photo,
            source.input.shape,
            source.training,
            source.scores,
            source.model,
            source.task,
            None if source.task is None else source_thresholds(source),
        )
    from edge_fm.api.common.engines import ALL_ENGINES
    from edge_fm_runtime.artifacts.artifact import load_artifact
    from edge_fm_runtime.engines import create_engine
    from edge_fm_runtime.multi_label import label_thresholds

    artifact = load_artifact(path)
    metadata = artifact.metadata
    running = create_engine(artifact, engine, options=options, registry=ALL_ENGINES)
    return OpenedModel(
        running,
        metadata.labels,
        metadata.photo,
        metadata.input.shape,
        metadata.training,
        metadata.scores,
        task=metadata.task,
        thresholds=None if metadata.task is None else label_thresholds(metadata),
        outputs=tuple(output.name for output in metadata.extra_outputs),
    )
