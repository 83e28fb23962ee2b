"""Classes of different sizes: weights in the loss, or an equal share of each epoch's images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_fm.training.recipe import Recipe


def class_weights(recipe: Recipe, labels: NDArray[np.int64], classes: int) -> NDArray[np.float32] | None:
    """The weight of each class in the loss, or None where the recipe weighs all images alike.

    Args:
        recipe: whose `class_weights` is used.
        labels: int64 `[N]` of the training images.
        classes: how many there are.

    Returns:
        float32 `[classes]`, such that the images' mean weight is 1; 0 for a class without images.
    """
    if recipe.training.class_weights == "none":
        return None
    counts = np.bincount(labels, minlength=classes)
    weights = np.zeros(classes, np.float32)
    there = counts > 0
    weights[there] = len(labels) / (there.sum() * counts[there])
    if recipe.training.class_weights == "square-root":
        weights = np.sqrt(weights)
        weights *= len(labels) / (weights * counts).sum()
    return weights


def balanced_order(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """As many images as there are, every class in its equal share, in random order.

    An image of a large class may be left out; one of a small class comes as often as the others of it, give or take
    one.

    Args:
        labels: int64 `[N]`.
        rng: decides which and in which order.

    Returns:
        int64 `[N]`, positions in `labels`.
    """
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    share, rest = divmod(len(labels), len(members))
    more = set(rng.permutation(len(members))[:rest].tolist())
    drawn = []
    for number, own in enumerate(members):
        wanted = share + (number in more)
        rounds = -(-wanted // len(own))
        drawn.append(np.concatenate([rng.permutation(own) for _ in range(rounds)] or [own[:0]])[:wanted])
    return rng.permutation(np.concatenate(drawn))
