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


def binary_cross_entropy(probabilities: npt.NDArray[np.floating[Any]], applies: npt.NDArray[np.bool_]) -> float:
    """Mean binary cross-entropy over images and labels, each probability clipped to [1e-7, 1 - 1e-7], as Keras does.

    Args:
        probabilities: `[N,labels]`.
        applies: `[N,labels]`, which labels an image has.

    Example:
        >>> round(binary_cross_entropy(np.array([[0.5, 0.5]]), np.array([[True, False]])), 6)
        0.693147
    """
    clipped = np.clip(probabilities.astype(np.float64), _LEAST, 1.0 - _LEAST)
    return float(-np.log(np.where(applies, clipped, 1.0 - clipped)).mean())
