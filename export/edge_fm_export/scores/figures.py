"""How well the probabilities of a model match its accuracy: calibration error, loss and Brier score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.parity.likelihood import negative_log_likelihood

BINS = 15
"""Of equal width, from 0 to 1; what Guo et al. 2017 use."""


@dataclass(frozen=True)
class CalibrationBin:
    """Predictions of about the same confidence.

    Attributes:
        low, high: ends of the bin of confidences, a confidence being the highest probability of a prediction.
        count: predictions in it.
        confidence: their mean confidence; None for an empty bin.
        accuracy: fraction of them that is right; None for an empty bin.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class ScoreFigures:
    """How far scores are from what they claim; lower is better.

    Attributes:
        loss: mean negative log likelihood.
        calibration_error: expected calibration error over `BINS` equal bins (Guo et al. 2017).
        brier: mean over images of the sum over classes of (probability - truth) squared (Brier 1950), 0 to 2.
    """

    loss: float
    calibration_error: float
    brier: float

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def score_figures(probabilities: npt.NDArray[np.floating[Any]], labels: npt.NDArray[np.integer[Any]]) -> ScoreFigures:
    """Measure predictions of labelled images.

    Args:
        probabilities: `[N,classes]`, N of at least 1.
        labels: `[N]`, 0..classes-1.

    Example:
        >>> score_figures(np.array([[0.8, 0.2], [0.8, 0.2]]), np.array([0, 1])).calibration_error
        0.30000000000000004
    """
    confidence = np.clip(probabilities.max(axis=1).astype(np.float64), 0.0, 1.0)
    right = probabilities.argmax(axis=1) == labels
    return ScoreFigures(
        loss=negative_log_likelihood(probabilities, labels),
        calibration_error=calibration_error(calibration_bins(confidence, right)),
        brier=brier_score(probabilities, labels),
    )


def brier_score(probabilities: npt.NDArray[np.floating[Any]], labels: npt.NDArray[np.integer[Any]]) -> float:
    """The mean squared distance of predictions `[N,classes]` from the truth `[N]`, summed over the classes.

    Example:
        >>> brier_score(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([0, 0]))
        0.25
    """
    distance = probabilities.astype(np.float64)
    distance[np.arange(len(labels)), labels] -= 1.0
    return float((distance**2).sum(axis=1).mean())


def calibration_bins(
    confidence: npt.NDArray[np.floating[Any]], right: npt.NDArray[np.bool_]
) -> tuple[CalibrationBin, ...]:
    """Confidence `[N]` beside accuracy in bins of equal width, the least confident first."""
    places = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts = np.bincount(places, minlength=BINS)
    sure = np.bincount(places, weights=confidence, minlength=BINS)
    hits = np.bincount(places, weights=right, minlength=BINS)
    return tuple(
        CalibrationBin(i / BINS, (i + 1) / BINS, int(n), float(sure[i] / n), float(hits[i] / n))
        if n
        else CalibrationBin(i / BINS, (i + 1) / BINS, 0, None, None)
        for i, n in enumerate(counts)
    )


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """The mean distance of accuracy from confidence, over all predictions in the bins."""
    total = sum(bin_.count for bin_ in bins)
    return math.fsum(bin_.count * abs((bin_.accuracy or 0.0) - (bin_.confidence or 0.0)) for bin_ in bins) / total
