"""Fit the thresholds of a multi-label model: from which score on each label applies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge_fm_export.context import EvaluationSet, SourceModel
from edge_fm_export.gate.reference import reference_predictions
from edge_fm_export.task import thresholds_record
from edge_fm_runtime.parity.multi_label import best_thresholds
from edge_fm_runtime.progress import ProgressFn, silent


def with_fitted_thresholds(
    source: SourceModel, validation: EvaluationSet, *, progress: ProgressFn = silent
) -> SourceModel:
    """Record for each label the threshold with the best F1 on labelled images.

    The original's own predictions decide, so artifacts of every format and precision have the same thresholds, and the
    gate can compare decisions.

    Args:
        source: a multi-label model.
        validation: labelled images that nothing was learned from.
        progress: called as work goes on.
    """
    assert validation.labels is not None
    predictions = reference_predictions(source, validation.images, progress=progress)
    values = best_thresholds(predictions, validation.labels.astype(np.bool_))
    return replace(source, scores=thresholds_record(values, n=len(validation.images), dataset=validation.name))
