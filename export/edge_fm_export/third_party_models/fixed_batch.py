"""Models that take batches of one size alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_fm_export.compat.tensorflow_setup import quiet, require_tensorflow
from edge_fm_export.third_party_models.input_layout import ModelInput


def takes_one_size_alone(model: Any, taken: ModelInput) -> bool:
    """Whether a model that was saved with a batch size takes no other, found by calling it with one image more."""
    if taken.batch is None:
        return False
    tf, _ = require_tensorflow("opening a Keras model")
    images = np.zeros((taken.batch + 1, *taken.shape), dtype=taken.dtype)
    try:
        with quiet():
            outputs = model(images, training=False)
    except (ValueError, TypeError, tf.errors.OpError):
        return True
    return any(output.shape[0] != len(images) for output in tf.nest.flatten(outputs))
