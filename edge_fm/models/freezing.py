"""Which layers are trained: named one by one, by stage, or the whole backbone.

A stage is what layers' names begin with: "layer4" is layer4_block1_a_conv and all its like, "block5" of VGG is
block5_conv1 to block5_pool. Batch normalization in frozen layers keeps and uses its statistics, as Keras has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge_fm.models.architectures.transfer import FEATURES
from edge_fm.models.keras_import import require_keras
from edge_fm.models.registry import find_model
from edge_fm_runtime.errors import ModelError

BACKBONE = "backbone"
"""Stands for every layer up to the features."""


def frozen_parts(
    name: str, *, weights: str, freeze: str | Sequence[str], unfreeze: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Resolve `freeze` and `unfreeze` of a recipe into names.

    Args:
        name: of the model.
        weights: what it starts from; "none" for fresh weights.
        freeze: "auto", "backbone", "none", or names of layers and stages.
        unfreeze: names of layers and stages.

    Returns:
        What is frozen ("backbone" may stand for all of it), and what of that is trained nevertheless.

    Example:
        >>> frozen_parts("resnet18", weights="imagenet", freeze="auto", unfreeze=())
        (('backbone',), ('layer4',))
        >>> frozen_parts("resnet18", weights="none", freeze="auto", unfreeze=())
        ((), ())
    """
    entry = find_model(name)
    if freeze == "auto":
        # Fresh weights that are never trained would be of no use; unless somebody asks for just a part of them.
        if not entry.backbone or (weights == "none" and not unfreeze):
            return (), ()
        return (BACKBONE,), (*entry.trained, *(u for u in unfreeze if u not in entry.trained))
    if freeze == "none":
        return (), ()
    return ((freeze,) if isinstance(freeze, str) else tuple(freeze)), tuple(unfreeze)


def freeze_layers(
    model: Any,
    frozen: Sequence[str],
    unfrozen: Sequence[str] = (),
    *,
    until: str = "",
    statistics: bool = False,
) -> None:
    """Freeze layers of a model, in place; before it is compiled.

    Args:
        model: of the zoo.
        frozen: names of layers or stages, or "backbone".
        unfrozen: those of them that are trained nevertheless.
        until: the first layer or stage that is trained: all before it are frozen; empty for none.
        statistics: freeze the backbone's batch normalization.

    Raises:
        ModelError: a name is no layer's or stage's, or nothing is left to train.
    """
    if until:
        first = named(model, until)[0]
        for layer in model.layers[: model.layers.index(first)]:
            layer.trainable = False
    if statistics:
        normalization = require_keras("training").layers.BatchNormalization
        for layer in named(model, BACKBONE):
            if isinstance(layer, normalization):
                layer.trainable = False
    for layers, trained in (*((named(model, n), False) for n in frozen), *((named(model, n), True) for n in unfrozen)):
        for layer in layers:
            layer.trainable = trained
    if frozen and not model.trainable_variables:
        raise ModelError(
            f"Every layer of {model.name} is frozen; nothing is left to train.", hint="Freeze less: --unfreeze NAME"
        )


def named(model: Any, name: str) -> list[Any]:
    """The layers that a name stands for, in the model's order.

    Raises:
        ModelError: none; the error lists the stages.
    """
    if name == BACKBONE:
        names = [layer.name for layer in model.layers]
        if FEATURES in names:
            return list(model.layers[: names.index(FEATURES) + 1])
    found = [layer for layer in model.layers if layer.name == name or layer.name.startswith(f"{name}_")]
    if not any(layer.weights for layer in found):
        raise ModelError(
            f"{name!r} is not a layer or stage of {model.name} that has weights. Stages: {', '.join(stages(model))}.",
            hint="A layer's own name will do too, such as "
            f"{next(layer.name for layer in model.layers if layer.weights)!r}.",
        )
    return found


def stages(model: Any) -> list[str]:
    """First words of the names of all layers that have weights, in order.

    Example:
        >>> from edge_fm.models import build_model
        >>> stages(build_model("convnet5", input_shape=(28, 28, 1), classes=10))
        ['conv1', 'conv2', 'dense1', 'logits']
    """
    return list(dict.fromkeys(layer.name.split("_")[0] for layer in model.layers if layer.weights))
