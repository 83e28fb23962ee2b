"""What Keras calls after every batch: progress, and a stop at the first loss that is not finite."""

from __future__ import annotations

import functools
import math
from typing import Any

from edge_fm.models.keras_import import require_keras
from edge_fm.training.recipe import OptimizerPart
from edge_fm_runtime.errors import DivergedError
from edge_fm_runtime.progress import ProgressFn


def batch_callback(progress: ProgressFn, epoch: int, epochs: int, steps: int, optimizer: OptimizerPart) -> Any:
    """Build the `keras.callbacks.Callback` of one epoch.

    Args:
        progress: called with "training" and the batches done and to be done in the whole run.
        epoch: from 0.
        epochs: of the whole run.
        steps: batches of one epoch.
        optimizer: whose learning rate the error names.
    """
    return _callback_class()(progress, epoch, epochs, steps, optimizer)


@functools.cache
def _callback_class() -> Any:
    keras = require_keras("training")

    class BatchCallback(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        def __init__(self, progress: ProgressFn, epoch: int, epochs: int, steps: int, optimizer: OptimizerPart) -> None:
            super().__init__()
            self._progress, self._epoch = progress, epoch
            self._done, self._total = epoch * steps, epochs * steps
            self._optimizer = optimizer

        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            # `loss` is the epoch's mean so far, so one bad batch shows at once and in all that follow.
            loss = float((logs or {})["loss"])
            if not math.isfinite(loss):
                rate = self._optimizer.peak_rate
                raise DivergedError(
                    f"The loss became {loss} in epoch {self._epoch + 1}, batch {batch + 1}: training has diverged.",
                    hint=f"Try a smaller learning rate than {rate:g}, such as --learning-rate {rate / 10:g}, "
                    "or a longer warmup in the recipe's [schedule].",
                )
            self._progress("training", self._done + batch + 1, self._total)

    return BatchCallback
