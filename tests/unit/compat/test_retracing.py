"""TensorFlow's warning of frequent tracing is hidden while models are trained; fails when it is gone upstream."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from edge_fm_export.compat.tensorflow_graphs import retracing_warnings_hidden


def test_models_one_after_another_do_not_warn_of_tracing(caplog: pytest.LogCaptureFixture) -> None:
    import keras
    import numpy as np

    data = np.zeros((1, 2), np.float32)

    def warnings_of_new_models(use: Callable[[Any], object]) -> list[str]:
        caplog.clear()
        for _ in range(6):
            model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
            model.compile(loss="mse")
            use(model)
        return [record.getMessage() for record in caplog.records if "retracing" in record.getMessage()]

    logger = logging.getLogger("tensorflow")
    logger.addHandler(caplog.handler)  # whether it propagates or not
    try:
        with retracing_warnings_hidden():
            assert warnings_of_new_models(lambda model: model.predict(data, verbose=0)) == []
            logger.warning("another warning")
            assert set(caplog.messages) == {"another warning"}
        # Another function of Keras's: TensorFlow warns twice of each.
        seen = warnings_of_new_models(lambda model: model.test_on_batch(data, data[:, :1]))
        assert seen, "TensorFlow no longer warns: retracing_warnings_hidden may go"
    finally:
        logger.removeHandler(caplog.handler)
