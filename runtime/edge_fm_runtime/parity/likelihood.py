"""The loss of predicted probabilities, one definition for all that report one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_LEAST = 1e-7
"""Keras's `epsilon()`: a probability of 0 for the true class costs 16.1, not infinitely much."""


def negative_log_likelihood(
    probabilities: npt.NDArray[np.floating[Any]], labels: npt.NDArray[np.integer[Any]]
) -> float:
    """Mean negative log of the probability of the true class, each clipped to [1e-7, 1], as Keras's losses do.

    Args:
        probabilities: `[N,classes]`.
        labels: `[N]`, 0..classes-1.

    Example:
        >>> negative_log_likelihood(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 0]))
        0.34657359027997264
    """
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.clip(true, _LEAST, 1.0)).mean())
