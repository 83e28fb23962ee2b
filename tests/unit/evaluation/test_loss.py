"""Training, evaluation and Keras report one loss, of confident and of wrong predictions too."""

from __future__ import annotations

import numpy as np
import pytest

from edge_fm.evaluation import evaluate_probabilities
from edge_fm.training.run.selection import score


@pytest.mark.parametrize("least", [0.0, 1e-30, 1e-10, 1e-7, 1e-3])
def test_training_evaluation_and_keras_agree(least: float) -> None:
    import keras

    truth = np.array([0, 1, 2, 0, 1])
    probabilities = np.full((5, 3), least, np.float32)
    probabilities[np.arange(5), [0, 1, 2, 1, 2]] = 1 - 2 * least  # two of five are sure and wrong
    trained = score(probabilities, truth).loss
    assert trained == evaluate_probabilities(probabilities, truth, ["a", "b", "c"]).loss
    theirs = keras.losses.SparseCategoricalCrossentropy()(truth, probabilities)
    assert trained == pytest.approx(float(theirs), rel=1e-5, abs=1e-6)
