"""What the command line's options change in a recipe."""

from __future__ import annotations

import dataclasses
from typing import Any

from edge_fm.training.recipe import ModelPart, OptimizerName, OptimizerPart, Recipe
from edge_fm_runtime.metadata import PhotoSpec

# Fashion-MNIST's images are cut-out garments, light on black.
_FASHION_PHOTO = PhotoSpec(mode="garment", background="dark", fill=0)


def with_overrides(
    recipe: Recipe,
    *,
    model: str | None = None,
    data: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    optimizer: OptimizerName | str | None = None,
    learning_rate: float | None = None,
    weights: str | None = None,
    seed: int | None = None,
) -> Recipe:
    """Edit what the command line can edit; None leaves the recipe's own.

    Another optimizer brings its own usual learning rate, decay and momentum, as those of the former would not fit it.
    Other data than Fashion-MNIST brings the plain photo preprocessing (whole picture, polarity left alone). Fewer
    epochs than `clean_epochs` shorten that too.

    Raises:
        RecipeError, ModelError: as for a recipe that is read from a file.

    Example:
        >>> from edge_fm.training import load_recipe, with_overrides
        >>> with_overrides(load_recipe("edgenet-s"), epochs=2, optimizer="sgd").optimizer.name
        'sgd'
    """
    parts: dict[str, Any] = {}
    if model is not None and model != recipe.model.name:
        parts["model"] = ModelPart(name=model, weights=recipe.model.weights)
        # A run is called by its recipe, which was written for the other model.
        parts["name"] = model
    if weights is not None:
        parts["model"] = dataclasses.replace(parts.get("model", recipe.model), weights=weights)
    if data is not None and data != recipe.data.source:
        parts["data"] = dataclasses.replace(recipe.data, source=data, shape=())
        fashion = data.startswith("fashion-mnist")
        if fashion != recipe.data.source.startswith("fashion-mnist"):
            parts["photo"] = _FASHION_PHOTO if fashion else PhotoSpec(mode="fit", background="any", fill=0)
    if epochs is not None or batch_size is not None:
        parts["training"] = dataclasses.replace(
            recipe.training,
            epochs=recipe.training.epochs if epochs is None else epochs,
            batch_size=recipe.training.batch_size if batch_size is None else batch_size,
        )
        clean = min(recipe.augmentation.clean_epochs, max(parts["training"].epochs - 1, 0))
        parts["augmentation"] = dataclasses.replace(recipe.augmentation, clean_epochs=clean)
    if optimizer is not None and optimizer != recipe.optimizer.name:
        parts["optimizer"] = OptimizerPart(name=optimizer)  # type: ignore[arg-type]  # checked by the class itself
    if learning_rate is not None:
        parts["optimizer"] = dataclasses.replace(parts.get("optimizer", recipe.optimizer), learning_rate=learning_rate)
    if seed is not None:
        parts["seed"] = seed
    return dataclasses.replace(recipe, **parts)
