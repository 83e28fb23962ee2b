"""What the command line's options change in a recipe."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from edge_fm.models import FREEZE_OPTIONS, find_model, find_name
from edge_fm.training.recipe import DataPart, ModelPart, OptimizerName, OptimizerPart, Recipe
from edge_fm.training.recipe.file import DEFAULT_RECIPE
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import GivenTwiceError

_TRANSFER = "transfer"
# Fashion-MNIST's images are cut-out garments, light on black.
_FASHION_PHOTO = PhotoSpec(mode="garment", background="dark", fill=0)

OPTION_KEYS: Mapping[str, str] = {
    "model": "model.name",
    "data": "data.source",
    "size": "data.shape",
    "skip_unreadable": "data.skip_unreadable",
    "group": "data.group",
    "label_column": "data.label_column",
    "epochs": "training.epochs",
    "batch_size": "training.batch_size",
    "optimizer": "optimizer.name",
    "learning_rate": "optimizer.learning_rate",
    "weights": "model.weights",
    "freeze": "model.freeze",
    "unfreeze": "model.unfreeze",
    "seed": "seed",
}
"""Options of `train` and of studies -> the key of a recipe that each stands for."""


def default_recipe(model: str | None) -> str:
    """The shipped recipe that a model is trained by when none is named.

    Example:
        >>> default_recipe(None), default_recipe("cnn3"), default_recipe("vgg16")
        ('edgenet-s', 'edgenet-s', 'transfer')
    """
    return _TRANSFER if model is not None and find_model(model).backbone else DEFAULT_RECIPE


def with_overrides(
    recipe: Recipe,
    *,
    model: str | None = None,
    data: str | None = None,
    size: tuple[int, int, int] | None = None,
    skip_unreadable: float | None = None,
    group: str | None = None,
    label_column: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    optimizer: OptimizerName | str | None = None,
    learning_rate: float | None = None,
    weights: str | None = None,
    options: Mapping[str, Any] | None = None,
    freeze: Sequence[str] | None = None,
    unfreeze: Sequence[str] | None = None,
    seed: int | None = None,
) -> Recipe:
    """Edit what the command line can edit; None leaves the recipe's own.

    Another optimizer brings its own usual learning rate, decay and momentum, as those of the former would not fit it.
    Other data than Fashion-MNIST brings the plain photo preprocessing (whole image, polarity left alone). Fewer
    epochs than `clean_epochs` shorten that too. Fresh weights (`weights` "none") have no trained backbone: they bring
    one learning rate, and no head that is fitted first.

    Raises:
        RecipeError, ModelError: as for a recipe that is read from a file.

    Example:
        >>> from edge_fm.training import load_recipe, with_overrides
        >>> with_overrides(load_recipe("edgenet-s"), epochs=2, optimizer="sgd").optimizer.name
        'sgd'
    """
    parts: dict[str, Any] = {}
    model = None if model is None else find_name(model)
    if model is not None and model != recipe.model.name:
        parts["model"] = _other_model(recipe.model, model)
        # A run is called by its recipe, which was written for the other model.
        parts["name"] = model
    if weights is not None:
        part = parts.get("model", recipe.model)
        if weights == "none":
            # There is no trained backbone to be careful with.
            part = dataclasses.replace(part, freeze_until="", frozen_statistics=False)
            parts["training"] = dataclasses.replace(recipe.training, head_epochs=0)
            parts["optimizer"] = dataclasses.replace(recipe.optimizer, backbone_rate=1.0, first_layer_rate=1.0)
        parts["model"] = dataclasses.replace(part, weights=weights)
    if options:
        part = parts.get("model", recipe.model)
        parts["model"] = dataclasses.replace(part, options={**part.options, **options})
    if freeze is not None or unfreeze is not None:
        part = parts.get("model", recipe.model)
        one_word = freeze is not None and len(freeze) == 1 and freeze[0] in FREEZE_OPTIONS
        parts["model"] = dataclasses.replace(
            part,
            freeze=part.freeze if freeze is None else freeze[0] if one_word else tuple(freeze),
            unfreeze=part.unfreeze if unfreeze is None else tuple(unfreeze),
            freeze_until="",
        )
    if data is not None and data != recipe.data.source:
        parts["data"] = dataclasses.replace(recipe.data, source=data, shape=(), group="", label_column="")
        fashion = data.startswith("fashion-mnist")
        if fashion != recipe.data.source.startswith("fashion-mnist"):
            # Classes and counts of the former data mean nothing in these.
            parts["data"] = DataPart(
                source=data, validation=recipe.data.validation, validation_seed=recipe.data.validation_seed
            )
            parts["photo"] = _FASHION_PHOTO if fashion else PhotoSpec(mode="fit", background="any", fill=0)
    reading: dict[str, Any] = {
        "shape": size,
        "skip_unreadable": skip_unreadable,
        "group": group,
        "label_column": label_column,
    }
    if given := {key: value for key, value in reading.items() if value is not None}:
        parts["data"] = dataclasses.replace(parts.get("data", recipe.data), **given)
    if epochs is not None or batch_size is not None:
        parts["training"] = dataclasses.replace(
            parts.get("training", recipe.training),
            epochs=recipe.training.epochs if epochs is None else epochs,
            batch_size=recipe.training.batch_size if batch_size is None else batch_size,
            steps=recipe.training.steps if epochs is None else 0,
        )
        clean = min(recipe.augmentation.clean_epochs, max(parts["training"].epochs - 1, 0))
        parts["augmentation"] = dataclasses.replace(recipe.augmentation, clean_epochs=clean)
    if optimizer is not None and optimizer != recipe.optimizer.name:
        rates = parts.get("optimizer", recipe.optimizer)
        parts["optimizer"] = OptimizerPart(
            name=optimizer,  # type: ignore[arg-type]  # checked by the class itself
            backbone_rate=rates.backbone_rate,
            first_layer_rate=rates.first_layer_rate,
            rates=rates.rates,
        )
    if learning_rate is not None:
        parts["optimizer"] = dataclasses.replace(parts.get("optimizer", recipe.optimizer), learning_rate=learning_rate)
    if seed is not None:
        parts["seed"] = seed
    return dataclasses.replace(recipe, **parts)


def check_given_once(options: Mapping[str, Any], keys: Iterable[str], where: str) -> None:
    """Raise where an option and a key name the same value of a recipe.

    Args:
        options: by name, as in `OPTION_KEYS`, and "model_options", the options of the model by name; None, or nothing,
            is not given.
        keys: of the recipe that are given otherwise, such as "training.epochs"; a table's key gives all that is in it.
        where: these are given, such as "--set".

    Raises:
        GivenTwiceError: names both.

    Example:
        >>> from edge_fm.training.recipe.overrides import check_given_once
        >>> check_given_once({"epochs": 1, "data": None}, ["data.source"], "--set")
    """
    given = {
        key: f"--{name.replace('_', '-')}"
        for name, key in OPTION_KEYS.items()
        if options.get(name) not in (None, (), [])
    }
    given |= {f"model.options.{name}": f"--option {name}" for name in options.get("model_options") or {}}
    for key in keys:
        for path, option in given.items():
            if f"{path}.".startswith(f"{key}."):
                raise GivenTwiceError(
                    f"{path} is given twice: by {option} and by {where} {key}.", hint="Leave one out."
                )


def _other_model(part: ModelPart, name: str) -> ModelPart:
    """Another model, which has other layers and options; what is said of a backbone as such holds for its own."""
    backbone = find_model(name).backbone
    return ModelPart(
        name=name,
        weights=part.weights,
        freeze=part.freeze if isinstance(part.freeze, str) and backbone else "auto",
        frozen_statistics=part.frozen_statistics and backbone,
    )
