"""Models that take batches of one size alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edge_fm_export.compat.tensorflow_setup import quiet, require_tensorflow
from edge_fm_export.third_party_models.input_layout import ModelInput


def takes_one_size_alone(model: Any, taken: ModelInput) -> bool:
    """Whether a model that was saved with a batch size takes no other, found by asking it for one image more."""
    if taken.batch is None:
        return False
    tf, _ = require_tensorflow("opening a Keras model")
    images = np.zeros((taken.batch + 1, *taken.shape), dtype=taken.dtype)
    try:
        with quiet():
            answers = model(images, training=False)
    except (ValueError, TypeError, tf.errors.OpError):
        return True
    return any(answer.shape[0] != len(images) for answer in tf.nest.flatten(answers))


def in_batches(run: Callable[[Any], Any], images: Any, size: int | None) -> Any:
    """Call `run` on batches of `size` images, the last filled up with its own, and join what it returns.

    Args:
        run: an array of images to an array of as many results.
        images: as many as there are.
        size: of a batch; None for all at once.
    """
    if size is None:
        return run(images)
    parts = []
    for start in range(0, len(images), size):
        part = images[start : start + size]
        filled = np.resize(part, (size, *part.shape[1:])) if len(part) < size else part
        parts.append(run(filled)[: len(part)])
    return np.concatenate(parts)
