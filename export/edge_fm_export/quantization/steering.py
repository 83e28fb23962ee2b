"""Accuracy drops on the images that steer accuracy control."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.context import BuildContext
from edge_fm_export.quantization.calibration import require_calibration
from edge_fm_export.task import source_thresholds
from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.engines.batches import run_in_batches
from edge_fm_runtime.parity.multi_label import decide, map_drop_interval, mean_average_precision

_Z95 = 1.959964


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
        labels: int64 `[N]`, of a multi-label model `[N,labels]`; None where there are none: then the original's
            predictions count as right.
        note: what is unusual about them, for a person; None where nothing is.
        thresholds: of a multi-label model, from which score on each label applies; None for one class of many.
    """

    images: Pixels
    labels: npt.NDArray[np.int64] | None
    note: str | None = None
    thresholds: tuple[float, ...] | None = None

    def correct(self, predictions: Probabilities, original: Probabilities) -> npt.NDArray[Any]:
        """Which of `predictions` `[N,classes]` are correct; without labels, those of the `original` class.

        Of a multi-label model, the share of the decisions on each image's labels that are.
        """
        if self.thresholds is not None:
            right = decide(predictions, self.thresholds) == self._applies(original, self.thresholds)
            return np.asarray(right.mean(axis=1))
        truth = original.argmax(axis=1) if self.labels is None else self.labels
        return np.asarray(predictions.argmax(axis=1) == truth)

    def accuracy(self, predictions: Probabilities, original: Probabilities) -> float:
        """Share of `predictions` that are correct; the mAP of a multi-label model."""
        if self.thresholds is None:
            return float(self.correct(predictions, original).mean())
        truth = self._applies(original, self.thresholds)
        return mean_average_precision(predictions, truth) if truth.any() else 0.0

    def _applies(self, original: Probabilities, thresholds: tuple[float, ...]) -> npt.NDArray[np.bool_]:
        return decide(original, thresholds) if self.labels is None else self.labels.astype(np.bool_)

    def drop(self, predictions: Probabilities, original: Probabilities) -> Drop:
        """The drop from the `original` predictions to `predictions`, both `[N,classes]`: of accuracy, or of mAP."""
        if self.thresholds is not None:
            truth = self._applies(original, self.thresholds)
            if not truth.any():
                return Drop(0.0, 0.0)
            low, high = map_drop_interval(original, predictions, truth)
            lost = self.accuracy(original, original) - self.accuracy(predictions, original)
            return Drop(100.0 * lost, (high - low) / (2 * _Z95))
        before, after = self.correct(original, original), self.correct(predictions, original)
        changed = int(np.count_nonzero(before != after))
        points = 100.0 * float(before.mean() - after.mean())
        return Drop(points, 100.0 * math.sqrt(changed) / len(before))


def steering_images(context: BuildContext) -> SteeringImages:
    """The validation images, or the calibration images where there are no labelled ones; never the test split."""
    thresholds = thresholds_of(context)
    if context.validation is not None and context.validation.labels is not None and len(context.validation.images):
        return SteeringImages(context.validation.images, context.validation.labels, thresholds=thresholds)
    calibration = require_calibration(context)
    if calibration.labels is not None:
        return SteeringImages(
            calibration.images, calibration.labels, "Accuracy control had the calibration images alone.", thresholds
        )
    return SteeringImages(
        calibration.images,
        None,
        "Accuracy control had no labels: it counted predictions that differ from the original's.",
        thresholds,
    )


def thresholds_of(context: BuildContext) -> tuple[float, ...] | None:
    """From which score on each label of a multi-label model applies; None for one class of many."""
    return None if context.source.task is None else source_thresholds(context.source)


def predict_all(run: Callable[[Pixels], Probabilities], images: Pixels, static: int | None) -> Probabilities:
    """Predictions for all `images`, in batches of the model's fixed size, if it has one."""
    return run_in_batches(run, images, batch=64, fixed_batch=static)
