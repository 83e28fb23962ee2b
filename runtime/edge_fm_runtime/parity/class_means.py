"""Figures in which every class counts the same, however many images it has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class ClassMeans:
    """Means over the classes that occur; fractions.

    Attributes:
        balanced_accuracy: mean recall.
        macro_f1: mean F1.
    """

    balanced_accuracy: float
    macro_f1: float


def class_means(predicted: npt.NDArray[np.integer], labels: npt.NDArray[np.integer], classes: int) -> ClassMeans:
    """Balanced accuracy and macro F1, as scikit-learn computes them for the classes that occur among the labels.

    Args:
        predicted: `[N]`, 0..classes-1.
        labels: likewise.
        classes: how many there are.

    Example:
        >>> class_means(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]), 2).balanced_accuracy
        0.75
    """
    pairs = labels.astype(np.int64) * classes + predicted.astype(np.int64)
    confusion = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
    hits, support, given = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    there = support > 0
    recall = hits[there] / support[there]
    f1 = 2 * hits[there] / (support[there] + given[there])
    return ClassMeans(float(recall.mean()), float(f1.mean()))
