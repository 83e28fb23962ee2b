"""Learning rates that differ from layer to layer: lower in a trained backbone, and falling towards its first layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_fm.models.architectures.transfer import FEATURES
from edge_fm.models.freezing import named
from edge_fm.models.keras_import import require_keras
from edge_fm.training.recipe import OptimizerPart
from edge_fm_runtime.errors import RecipeError

NOT_DECAYED = ("bias", "gamma", "beta")
"""Names of the variables that weight decay leaves alone."""


def layer_rates(model: Any, part: OptimizerPart) -> dict[str, float] | None:
    """The learning rate of each variable, relative to the optimizer's.

    Args:
        model: of the zoo.
        part: the recipe's [optimizer].

    Returns:
        Path of each trainable variable -> its rate; None where all have one.

    Raises:
        RecipeError: rates of a backbone for a model that has none.
        ModelError: `rates` names what is no layer or stage.

    Example:
        >>> from edge_fm.models import build_model
        >>> model = build_model("convnet5", input_shape=(28, 28, 1), classes=10)
        >>> layer_rates(model, OptimizerPart(rates={"conv1": 0.1}))["conv1/kernel"]
        0.1
    """
    if part.one_rate:
        return None
    names = [layer.name for layer in model.layers]
    rates = dict.fromkeys(names, 1.0)
    if part.backbone_rate != 1 or part.first_layer_rate != 1:
        if FEATURES not in names:
            raise RecipeError(
                f"[optimizer] backbone_rate and first_layer_rate belong to models with a backbone; {model.name} has "
                "none.",
                hint="Name layers or stages: [optimizer] rates",
            )
        backbone = [layer for layer in model.layers[: names.index(FEATURES)] if layer.weights]
        last = max(1, len(backbone) - 1)
        for number, layer in enumerate(backbone):
            rates[layer.name] = part.backbone_rate * part.first_layer_rate ** (1 - number / last)
    for name, rate in part.rates.items():
        rates |= {layer.name: float(rate) for layer in named(model, name)}
    return {variable.path: rates[layer.name] for layer in model.layers for variable in layer.trainable_variables}


def with_rates(cls: type[Any], rates: Mapping[str, float], *, decay: float) -> type[Any]:
    """An optimizer class like `cls` whose steps of each variable are as long as its rate says, its decay too.

    Args:
        cls: a class of keras.optimizers, to be made without weight decay.
        rates: path of a variable -> its rate, relative to the optimizer's.
        decay: decoupled weight decay: a step takes `learning_rate * rate * decay` of each kernel.
    """
    ops = require_keras("training").ops

    class Rated(cls):  # type: ignore[misc]
        def build(self, variables: Any) -> None:
            if self.built:
                return
            # TensorFlow's backend hands its own variable to `update_step`.
            self.rate_of = {id(v): rates[v.path] for v in variables} | {id(v.value): rates[v.path] for v in variables}
            super().build(variables)

        def apply(self, grads: Any, trainable_variables: Any = None) -> None:
            if decay:
                for variable in trainable_variables or ():
                    if not any(name in variable.name for name in NOT_DECAYED):
                        share = ops.cast(self.learning_rate, variable.dtype) * decay * self.rate_of[id(variable)]
                        self.assign_sub(variable, variable * share)
            super().apply(grads, trainable_variables)

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            super().update_step(gradient, variable, learning_rate * self.rate_of[id(variable)])

    Rated.__name__ = cls.__name__
    return Rated
