"""Scores of a model that is exported: a temperature put into it, and the threshold of what was built of it."""

from __future__ import annotations

from dataclasses import replace

from edge_fm_export.context import EvaluationSet, RejectionSets, SourceModel
from edge_fm_export.engines import REFERENCE_ENGINES
from edge_fm_export.gate.reference import batch_size, reference_predictions
from edge_fm_export.scores.logits import divide_logits
from edge_fm_export.scores.rejection import Rejection, fit_rejection
from edge_fm_export.scores.temperature import Calibration, calibrate, with_temperature
from edge_fm_export.targets import FORMAT_ENTRIES
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.engines import ENGINES, EngineOptions, create_engine
from edge_fm_runtime.progress import ProgressFn, silent


def fit_source_temperature(
    source: SourceModel, validation: EvaluationSet, *, temperature: float | None = None, progress: ProgressFn = silent
) -> tuple[SourceModel, Calibration]:
    """Divide the logits of a model by what fits labelled images best, or by `temperature`.

    Args:
        source: the model; its weights are changed.
        validation: labelled images that nothing was learned from.
        temperature: divide by this, and fit nothing.
        progress: called as work goes on.

    Raises:
        ModelError: the model's logits cannot be divided.
    """
    assert validation.labels is not None
    probabilities = reference_predictions(source, validation.images, progress=progress)
    found = calibrate(probabilities, validation.labels, dataset=validation.name, temperature=temperature)
    had = (source.scores or {}).get("temperature", 1.0)
    trained = with_temperature(probabilities, 1 / had)
    scores = calibrate(trained, validation.labels, dataset=validation.name, temperature=had * found.temperature)
    return replace(divided(source, found.temperature), scores=scores.to_json()), found


def divided(source: SourceModel, temperature: float) -> SourceModel:
    """The model with its logits divided by `temperature`; its weights are changed.

    Raises:
        ModelError: the model's logits cannot be divided.
    """
    divide_logits(source.model, temperature)
    return replace(source, temperature=temperature)


def select_threshold(artifact: Artifact, sets: RejectionSets, *, progress: ProgressFn = silent) -> Rejection:
    """Select the threshold of a built artifact on its own predictions, as its format and precision give them.

    Raises:
        EngineError: the artifact cannot be run.
    """
    metadata, validation = artifact.metadata, sets.validation
    assert validation.labels is not None
    engine = create_engine(
        artifact,
        FORMAT_ENTRIES[metadata.format].engine,
        options=EngineOptions(arithmetic="exact"),
        registry={**ENGINES, **REFERENCE_ENGINES},
    )
    stage = f"scores of {metadata.format} {metadata.precision}"
    try:
        predictions = {
            name: engine.predict_all(images, batch=batch_size(images), stage=stage, progress=progress)
            for name, images in {"": validation.images, **sets.others}.items()
        }
    finally:
        engine.close()
    return fit_rejection(
        predictions.pop(""), validation.labels, dataset=validation.name, others=predictions, goals=sets.goals
    )
