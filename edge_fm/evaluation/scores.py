"""What a model's temperature and threshold do on labelled images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.scores.figures import score_figures
from edge_fm_export.scores.temperature import with_temperature


def evaluate_scores(
    probabilities: npt.NDArray[np.floating[Any]],
    labels: npt.NDArray[np.integer[Any]],
    recorded: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The object `scores` of `edgefm evaluate --json`.

    Args:
        probabilities: `[N,classes]`, predicted with the temperature.
        labels: `[N]`.
        recorded: the section `scores` of the model's metadata; None where it has none.

    Returns:
        "temperature"; "before", the loss, calibration error and Brier score that these images would have without it;
        and "rejection" with "threshold", "coverage" (share that gets a label) and "accuracy" (share of these that is
        right; None where none gets one). Each is None where the model has none.

    Example:
        >>> recorded = {"temperature": 2.0, "rejection": {"threshold": 0.7}}
        >>> predictions = np.array([[0.9, 0.1], [0.6, 0.4]])
        >>> evaluate_scores(predictions, np.array([0, 1]), recorded)["rejection"]
        {'threshold': 0.7, 'coverage': 0.5, 'accuracy': 1.0}
    """
    known = recorded or {}
    temperature, threshold = known.get("temperature"), (known.get("rejection") or {}).get("threshold")
    return {
        "temperature": temperature,
        "before": None
        if temperature is None
        else score_figures(with_temperature(probabilities, 1 / temperature), labels).to_json(),
        "rejection": None if threshold is None else _at(threshold, probabilities, labels),
    }


def _at(
    threshold: float, probabilities: npt.NDArray[np.floating[Any]], labels: npt.NDArray[np.integer[Any]]
) -> dict[str, float | None]:
    given = probabilities.max(axis=1).astype(np.float64) >= threshold
    right = probabilities.argmax(axis=1) == labels
    accuracy = float(right[given].mean()) if given.any() else None
    return {"threshold": threshold, "coverage": float(given.mean()), "accuracy": accuracy}
