"""How long to train on data of another size than a shipped recipe was made for: by steps, not by epochs."""

from __future__ import annotations

import dataclasses
import json
import math
import shlex
from typing import TYPE_CHECKING

from edge_fm.models import find_model
from edge_fm.training.input_pipeline.batches import steps_per_epoch
from edge_fm.training.input_pipeline.recipe_data import training_and_validation
from edge_fm.training.recipe import Recipe
from edge_fm.training.recipe.overrides import with_overrides

if TYPE_CHECKING:
    from edge_fm.data import Dataset

ENOUGH_STEPS = 1_000
"""Updates of fresh weights that a shipped recipe gets at least, where it is run on other data than its own."""
ENOUGH_STEPS_PRETRAINED = 300
"""The same of weights that were trained before: they need few, and more overfit."""
_FEW = 0.3
FEW_IMAGES = 2_000
_MOST_EPOCHS = 200
# Sides of the images on which the backbones were trained; smaller ones cost accuracy.
_BACKBONE_SIDE = 128
_PHOTO_SIDE = 192


def is_recipe_file(name: str) -> bool:
    """Whether a recipe was named as a file, whose number of epochs is kept."""
    return "/" in name or name.endswith(".toml")


def with_epochs_of_steps(recipe: Recipe, images: int) -> Recipe:
    """Turn `steps` of [training] into the whole epochs that come nearest, at least one.

    Args:
        recipe: whose `steps` is used, and 0 afterwards.
        images: that are learned from.
    """
    part = recipe.training
    if not part.steps:
        return recipe
    epochs = max(1, round(part.steps / steps_per_epoch(images, part.batch_size)))
    recipe = with_overrides(recipe, epochs=epochs)
    return dataclasses.replace(recipe, training=dataclasses.replace(recipe.training, steps=0))


def with_enough_epochs(recipe: Recipe, dataset: Dataset, *, given: bool) -> tuple[Recipe, list[str]]:
    """Give a recipe the epochs that few images need, and say what else helps with few images.

    Args:
        recipe: with the data in place.
        dataset: as from `load_recipe_data`.
        given: whether the user gave the number of epochs, which is then never changed.

    Returns:
        The recipe, and messages for the user, one sentence each.

    Example:
        >>> from edge_fm.data import load_dataset
        >>> from edge_fm.training import load_recipe
        >>> recipe = load_recipe("edgenet-s")
        >>> with_enough_epochs(recipe, load_dataset("fashion-mnist-mini"), given=False)[0].training.epochs
        24
    """
    learned = len(training_and_validation(recipe, dataset)[0])
    steps, epochs = steps_per_epoch(learned, recipe.training.batch_size), recipe.training.epochs
    wanted = enough_epochs(recipe, learned)
    lines = []
    if wanted > epochs and not given:
        recipe = with_overrides(recipe, epochs=wanted)
        lines.append(
            f"{learned:,} images to learn from are {_steps(steps)} an epoch: {wanted} epochs, {_steps(wanted * steps)} "
            f"instead of the recipe's {epochs}, {_steps(epochs * steps)}. To set it yourself: --epochs N"
        )
    total = recipe.training.epochs * steps
    if total < _FEW * _enough_steps(recipe):
        smaller = max(1, min(recipe.training.batch_size // 2, learned // 8))
        advice = f"--epochs {wanted}" if wanted > recipe.training.epochs else f"--batch-size {smaller}"
        lines.append(
            f"Warning: {_epochs(recipe.training.epochs, steps)} {_steps(total)} in all, too few to learn much. "
            f"More of them: {advice}"
        )
    if learned < FEW_IMAGES and not find_model(recipe.model.name).backbone:
        lines.append(
            f"With few images ({learned:,}) a backbone that knows ImageNet often gets more right: {_transfer(recipe)}"
        )
    return recipe, lines


def enough_epochs(recipe: Recipe, images: int) -> int:
    """How many epochs a recipe needs at least to learn from so many images, at most 200."""
    return min(_MOST_EPOCHS, math.ceil(_enough_steps(recipe) / steps_per_epoch(images, recipe.training.batch_size)))


def _enough_steps(recipe: Recipe) -> int:
    return ENOUGH_STEPS if recipe.model.weights == "none" else ENOUGH_STEPS_PRETRAINED


def _epochs(count: int, steps: int) -> str:
    return f"1 epoch of {_steps(steps)} is" if count == 1 else f"{count:,} epochs of {_steps(steps)} are"


def _steps(count: int) -> str:
    return f"{count:,} {'step' if count == 1 else 'steps'}"


def _transfer(recipe: Recipe) -> str:
    """The command that trains a pretrained backbone on the same data, groups and classes.

    In colour the recipe `photo`, whose weights a Python package carries; in grey a small network.
    """
    data = recipe.data
    colour = len(data.shape) == 3 and data.shape[2] == 3
    network = ["--recipe", "photo"] if colour else ["--model", "mobilenet-v2", "--option", "alpha=0.35"]
    words = ["edgefm", "train", *network, "--data", data.source]
    if data.shape:
        height, width = (max(side, _PHOTO_SIDE if colour else _BACKBONE_SIDE) for side in data.shape[:2])
        words += ["--size", f"{height}x{width}x{data.shape[2]}"]
    words += ["--group", data.group] if data.group else []
    words += ["--label-column", data.label_column] if data.label_column else []
    words += ["--skip-unreadable", f"{data.skip_unreadable:g}"] if data.skip_unreadable else []
    if data.classes:
        words += ["--set", f"data.classes=[{', '.join(map(_toml, data.classes))}]"]
    if data.relabel:
        names = ", ".join(f"{_toml(old)} = {_toml(new)}" for old, new in data.relabel.items())
        words += ["--set", f"data.relabel={{{names}}}"]
    return shlex.join(words)


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
