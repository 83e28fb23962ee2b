"""The temperature of a finished run: fitted on its validation images, put into its model, recorded in its metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_fm_export.scores.logits import divide_logits
from edge_fm_export.scores.temperature import Calibration, calibrate

if TYPE_CHECKING:
    from edge_fm.data import Split
    from edge_fm.training.run.learner import Learner


def calibrate_scores(learner: Learner, validation: Split, *, dataset: str) -> Calibration | None:
    """Divide the logits of the evaluated model by what fits the validation images best; None where the recipe has none.

    Args:
        learner: with the selected weights in its evaluated model.
        validation: images, or the features that stand for these, and labels.
        dataset: what they are called.
    """
    if not learner.recipe.training.temperature:
        return None
    found = calibrate(learner.probabilities(validation.images), validation.labels, dataset=dataset)
    divide_logits(learner.evaluated, found.temperature)
    return found
