"""Optimizers by name, and Muon for convolutions."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

from edge_fm.models.keras_import import require_keras
from edge_fm.training.optimization.layer_rates import NOT_DECAYED, with_rates
from edge_fm.training.optimization.weight_averaging import averaging_class
from edge_fm.training.recipe import OptimizerPart
from edge_fm.training.recipe.optimizer import USUAL


def build_optimizer(
    part: OptimizerPart, learning_rate: Any, *, ema: float = 0.0, rates: Mapping[str, float] | None = None
) -> Any:
    """Build the recipe's optimizer.

    Biases and the scales of batch normalization are not decayed.

    Args:
        part: the recipe's [optimizer].
        learning_rate: a number or a Keras schedule.
        ema: decay of the running average of the weights that it keeps in `averages`; 0 for none.
        rates: path of a variable -> its learning rate relative to `learning_rate`; None for one rate.

    Returns:
        keras.optimizers.Optimizer, not built yet.
    """
    optimizers = require_keras("training").optimizers
    usual = USUAL[part.name]
    decay = usual.weight_decay if part.weight_decay is None else part.weight_decay
    momentum = usual.momentum if part.momentum is None else part.momentum
    ratio = usual.vector_ratio if part.vector_ratio is None else part.vector_ratio
    nesterov = momentum > 0 if part.nesterov is None else part.nesterov
    settings: dict[str, Any] = {"learning_rate": learning_rate, "weight_decay": decay or None}
    if part.name == "sgd":
        cls = optimizers.SGD
        settings |= {"momentum": momentum, "nesterov": nesterov}
    elif part.name == "rmsprop":
        cls = optimizers.RMSprop
        settings |= {"momentum": momentum}
    elif part.name == "adam":
        cls = optimizers.Adam
    elif part.name == "adamw":
        cls = optimizers.AdamW
        settings |= {"weight_decay": decay}
    else:
        cls = _conv_muon_class()
        settings |= {"momentum": momentum, "nesterov": nesterov}
        settings |= {"adam_lr_ratio": ratio, "adam_weight_decay": decay or None}
    if rates is not None:
        # Each layer's decay follows its rate; AdamW, which is Adam with a decay, insists on its own.
        cls = with_rates(optimizers.Adam if part.name == "adamw" else cls, rates, decay=decay)
        settings |= dict.fromkeys({"weight_decay", "adam_weight_decay"} & set(settings))
    optimizer = (averaging_class(cls, ema) if ema else cls)(**settings)
    optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    return optimizer


@functools.cache
def _conv_muon_class() -> Any:
    keras = require_keras("training")
    ops = keras.ops

    class ConvMuon(keras.optimizers.Muon):  # type: ignore[misc, name-defined]
        """Muon (Jordan et al. 2024) that also orthogonalizes convolutions, as matrices `[height*width*in, out]`.

        Keras's own takes matrices alone and gives a convolutional network's kernels to AdamW. Dense layers,
        here the classifier's last, and depthwise kernels, whose rows do not mix, stay with AdamW.
        """

        def _should_use_adamw(self, variable: Any) -> bool:
            shape = variable.shape
            return len(shape) != 4 or shape[2] == 1 or shape[3] == 1

        def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
            self.assign_add(m, ops.add(gradient, m * (self.momentum - 1)))
            direction = ops.add(gradient, self.momentum * m) if self.nesterov else m
            shape = variable.shape
            rows, columns = math.prod(shape[:-1]), shape[-1]
            update = self.zeropower_via_newtonschulz5(ops.reshape(direction, (rows, columns)), self.ns_steps)
            # The scale of "Muon is scalable" (Liu et al. 2025): a step as long as AdamW's.
            scale = math.sqrt(max(rows, columns)) * self.rms_rate
            self.assign_sub(variable, ops.reshape(update * ops.cast(lr * scale, variable.dtype), shape))

    return ConvMuon
