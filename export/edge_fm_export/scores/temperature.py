"""A temperature: one number that logits are divided by, so that scores match accuracy (Guo et al. 2017).

It changes no predicted class, as the order of the logits stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.scores.figures import BINS, ScoreFigures, score_figures

LOWEST, HIGHEST = 0.1, 10.0
LEAST_IMAGES = 50
"""Fewer labelled images say too little of how sure a model may be."""
_LEAST_PROBABILITY = float(np.finfo(np.float32).tiny)
_HALVINGS = 60


@dataclass(frozen=True)
class Calibration:
    """A temperature, and what it does to the scores of the images that it was fitted on.

    Attributes:
        temperature: logits are divided by it; above 1 the model was too sure, below 1 not sure enough.
        dataset: what the images are called.
        n: how many there are.
        before, after: figures of their scores, without and with the temperature.
        note: why no temperature was fitted (it is 1 then), or what is special about it; None for neither.
        fitted: whether it was fitted, or given.
    """

    temperature: float
    dataset: str
    n: int
    before: ScoreFigures
    after: ScoreFigures
    note: str | None = None
    fitted: bool = True

    def to_json(self) -> dict[str, Any]:
        """The object `scores` of metrics.json and edgefm.json."""
        return {
            "temperature": self.temperature,
            "dataset": self.dataset,
            "n": self.n,
            "bins": BINS,
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "note": self.note,
        }

    def sentence(self) -> str:
        """What was done, for a person."""
        if self.note is not None and self.temperature == 1.0:
            return f"Scores are as they were trained: {self.note}"
        how = "what fits" if self.fitted else "as requested; on"
        best = " best" if self.fitted else ""
        return (
            f"Scores: logits are divided by {self.temperature:.3g}, {how} {self.n:,} images{best} ({self.dataset}); "
            f"calibration error {100 * self.before.calibration_error:.1f}% before, "
            f"{100 * self.after.calibration_error:.1f}% after." + ("" if self.note is None else f" {self.note}")
        )


def fit_temperature(
    probabilities: npt.NDArray[np.floating[Any]], labels: npt.NDArray[np.integer[Any]]
) -> tuple[float, str | None]:
    """Find the temperature with the least negative log likelihood, from 0.1 to 10.

    The loss is convex in 1/temperature, and its slope is the mean of the expected less the true class's logit: it is
    halved to where it changes sign.

    Args:
        probabilities: `[N,classes]`, a model's own.
        labels: `[N]`, 0..classes-1.

    Returns:
        The temperature, and a note: why it is 1 without a fit (fewer than 50 images, or none of them wrong: then no
        finite temperature is best), or that it is at an end of the range.

    Example:
        >>> round(fit_temperature(np.tile([[0.9, 0.1]], (100, 1)), np.repeat([0, 1], [80, 20]))[0], 4)
        1.585
    """
    if len(labels) < LEAST_IMAGES:
        few = "is 1 validation image" if len(labels) == 1 else f"are {len(labels)} validation images"
        return 1.0, f"there {few}, and a temperature needs at least {LEAST_IMAGES}."
    if bool((probabilities.argmax(axis=1) == labels).all()):
        return 1.0, f"all {len(labels):,} validation images are predicted right, which shows no limit to their scores."
    logits = _logits(probabilities)
    true = logits[np.arange(len(labels)), labels]

    def slope(inverse: float) -> float:
        return float(((_softmax(logits * inverse) * logits).sum(axis=1) - true).mean())

    low, high = 1 / HIGHEST, 1 / LOWEST
    if slope(low) >= 0:
        return HIGHEST, f"{HIGHEST:g} is the highest temperature that is tried."
    if slope(high) <= 0:
        return LOWEST, f"{LOWEST:g} is the lowest temperature that is tried."
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 2 / (low + high), None


def calibrate(
    probabilities: npt.NDArray[np.floating[Any]],
    labels: npt.NDArray[np.integer[Any]],
    *,
    dataset: str,
    temperature: float | None = None,
) -> Calibration:
    """Fit a temperature, and measure scores before and after.

    Args:
        probabilities: `[N,classes]`, a model's own.
        labels: `[N]`.
        dataset: what to call the images.
        temperature: take this one, and fit none.
    """
    note, fitted = None, temperature is None
    if temperature is None:
        temperature, note = fit_temperature(probabilities, labels)
    before = score_figures(probabilities, labels)
    after = before if temperature == 1.0 else score_figures(with_temperature(probabilities, temperature), labels)
    return Calibration(temperature, dataset, len(labels), before, after, note, fitted)


def with_temperature(probabilities: npt.NDArray[np.floating[Any]], temperature: float) -> npt.NDArray[np.float64]:
    """What the model would predict if its logits were divided by `temperature`: `[N,classes]`.

    Example:
        >>> with_temperature(np.array([[0.9, 0.1]]), 2.0).round(3).tolist()
        [[0.75, 0.25]]
    """
    return _softmax(_logits(probabilities) / temperature)


def _logits(probabilities: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Logits but for a constant of each row, which no softmax sees."""
    return np.log(np.maximum(probabilities.astype(np.float64), _LEAST_PROBABILITY))


def _softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
