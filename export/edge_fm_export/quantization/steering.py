"""Accuracy drops on the images that steer accuracy control."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_fm_export.context import BuildContext
from edge_fm_export.quantization.calibration import require_calibration
from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.engines.batches import run_in_batches


@dataclass(frozen=True)
class Drop:
    """An accuracy drop, measured on `SteeringImages`.

    Attributes:
        points: the drop in percentage points.
        error_points: its standard error: a model with many other predictions may do as well here by chance.
    """

    points: float
    error_points: float

    @property
    def cautious_points(self) -> float:
        """The drop and one standard error: what is compared with the limit, as the gate measures on other images."""
        return self.points + self.error_points


@dataclass(frozen=True, eq=False)
class SteeringImages:
    """The images that steer accuracy control.

    Attributes:
        images: uint8 `[N,H,W,C]`.
        labels: int64 `[N]`, or None where there are none: then the original's predictions count as right.
        note: what is unusual about them, for a person; None where nothing is.
    """

    images: Pixels
    labels: npt.NDArray[np.int64] | None
    note: str | None = None

    def correct(self, predictions: Probabilities, original: Probabilities) -> npt.NDArray[np.bool_]:
        """Which of `predictions` `[N,classes]` are correct; without labels, those of the `original` class."""
        truth = original.argmax(axis=1) if self.labels is None else self.labels
        return np.asarray(predictions.argmax(axis=1) == truth)

    def drop(self, predictions: Probabilities, original: Probabilities) -> Drop:
        """The drop from the `original` predictions to `predictions`, both `[N,classes]`."""
        before, after = self.correct(original, original), self.correct(predictions, original)
        changed = int(np.count_nonzero(before != after))
        points = 100.0 * float(before.mean() - after.mean())
        return Drop(points, 100.0 * math.sqrt(changed) / len(before))


def steering_images(context: BuildContext) -> SteeringImages:
    """The validation images, or the calibration images where there are no labelled ones; never the test split."""
    if context.validation is not None and context.validation.labels is not None and len(context.validation.images):
        return SteeringImages(context.validation.images, context.validation.labels)
    calibration = require_calibration(context)
    if calibration.labels is not None:
        return SteeringImages(
            calibration.images, calibration.labels, "Accuracy control had the calibration images alone."
        )
    return SteeringImages(
        calibration.images,
        None,
        "Accuracy control had no labels: it counted predictions that differ from the original's.",
    )


def predict_all(run: Callable[[Pixels], Probabilities], images: Pixels, static: int | None) -> Probabilities:
    """Predictions for all `images`, in batches of the model's fixed size, if it has one."""
    return run_in_batches(run, images, batch=64, fixed_batch=static)
