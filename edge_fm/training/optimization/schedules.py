"""Learning rates over a run, computed by Keras from the optimizer's own step counter.

As they depend on that counter alone, a resumed run goes on exactly where it was. "plateau" is the exception: it
depends on the validation losses so far, which the run's history holds (`plateau_rate`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from edge_fm.models.keras_import import require_keras
from edge_fm.training.recipe import SchedulePart


def build_schedule(part: SchedulePart, *, peak: float, steps_per_epoch: int, epochs: int) -> Any:
    """Build the learning rate that an optimizer is given.

    Args:
        part: the recipe's [schedule].
        peak: the highest learning rate.
        steps_per_epoch: batches of one epoch.
        epochs: of the whole run.

    Returns:
        A `keras.optimizers.schedules.LearningRateSchedule`, or the number `peak` for plateau.
    """
    if part.name == "plateau":
        return peak
    return _schedule_class()(
        kind=part.name,
        peak=peak,
        steps=steps_per_epoch * epochs,
        warmup_steps=part.warmup * steps_per_epoch * epochs,
        factor=part.factor,
        every_steps=part.every * steps_per_epoch,
        after_steps=part.after * steps_per_epoch,
    )


def plateau_rate(part: SchedulePart, *, peak: float, val_losses: Sequence[float]) -> float:
    """The learning rate of the next epoch: times `factor` after each `every` epochs without a better loss.

    Args:
        part: the recipe's [schedule], a plateau.
        peak: the learning rate at the start.
        val_losses: of the epochs so far.
    """
    rate, best, waited = peak, math.inf, 0
    for loss in val_losses:
        waited = 0 if loss < best else waited + 1
        best = min(best, loss)
        if waited >= part.every:
            rate, waited = rate * part.factor, 0
    return rate


def stops_early(patience: int, val_losses: Sequence[float]) -> bool:
    """Whether `patience` epochs have gone by without a better validation loss.

    Example:
        >>> [stops_early(2, losses) for losses in ([1.0, 0.9, 0.95], [1.0, 0.9, 0.95, 0.9])]
        [False, True]
    """
    best = min(range(len(val_losses)), key=val_losses.__getitem__, default=0)
    return 0 < patience <= len(val_losses) - 1 - best


@functools.cache
def _schedule_class() -> Any:
    keras = require_keras("training")
    ops = keras.ops

    class RunSchedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc, name-defined]
        """One class for every schedule that is a function of the step."""

        def __init__(
            self,
            kind: str,
            peak: float,
            steps: int,
            warmup_steps: float,
            factor: float,
            every_steps: int,
            after_steps: int,
        ) -> None:
            super().__init__()
            self.kind, self.peak, self.steps = kind, peak, steps
            self.warmup_steps, self.factor = warmup_steps, factor
            self.every_steps, self.after_steps = every_steps, after_steps

        def __call__(self, step: Any) -> Any:
            step = ops.cast(step, "float32")
            # The first step is number 0; it must move too, and the last one, number steps-1, comes close to 0.
            rise = (step + 1.0) / max(self.warmup_steps, 1.0)
            left = (self.steps - step) / max(self.steps - self.warmup_steps, 1.0)
            left = ops.clip(left, 0.0, 1.0)
            falls = ops.maximum(step - self.after_steps, 0.0) / self.every_steps
            if self.kind == "one-cycle":
                fall = left
            elif self.kind == "cosine":
                fall = 0.5 * (1.0 - ops.cos(math.pi * left))
            elif self.kind == "exponential":
                fall = ops.power(self.factor, falls)
            elif self.kind == "step":
                fall = ops.power(self.factor, ops.floor(falls))
            else:
                fall = ops.ones_like(step)
            return self.peak * (ops.minimum(rise, 1.0) * fall if self.warmup_steps else fall)

        def get_config(self) -> dict[str, Any]:
            return {
                "kind": self.kind,
                "peak": self.peak,
                "steps": self.steps,
                "warmup_steps": self.warmup_steps,
                "factor": self.factor,
                "every_steps": self.every_steps,
                "after_steps": self.after_steps,
            }

    return RunSchedule
