"""Whether two runs are the same run: history, predictions and weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_fm.training import RunResult


def weights_of(run_dir: Path) -> list[np.ndarray]:
    import keras

    return keras.models.load_model(run_dir / "model.keras").get_weights()


def untimed(history: tuple[dict[str, float], ...]) -> list[dict[str, float]]:
    return [{key: value for key, value in row.items() if key not in ("seconds", "images_per_s")} for row in history]


def assert_same_run(one: RunResult, other: RunResult) -> None:
    assert untimed(one.history) == untimed(other.history)
    np.testing.assert_array_equal(one.test_probabilities, other.test_probabilities)
    for ours, theirs in zip(weights_of(one.run_dir), weights_of(other.run_dir), strict=True):
        np.testing.assert_array_equal(ours, theirs)
