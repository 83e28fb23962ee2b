"""The paths in a recipe, made independent of the folder that a command is run in."""

from __future__ import annotations

import dataclasses

from edge_fm.data.sources import absolute_source
from edge_fm.training.recipe import Recipe
from edge_fm_runtime.system.user_cache import expand_home


def with_absolute_paths(recipe: Recipe) -> Recipe:
    """A recipe whose data, weights and teachers are found from every folder; what does not exist stays as it is.

    A run stores its recipe in this form, so that it can be resumed and evaluated from another folder.
    """
    part = recipe.distillation
    return dataclasses.replace(
        recipe,
        data=dataclasses.replace(
            recipe.data,
            source=absolute_source(recipe.data.source),
            other_things=recipe.data.other_things and absolute_source(recipe.data.other_things),
        ),
        model=dataclasses.replace(recipe.model, weights=_absolute(recipe.model.weights)),
        distillation=dataclasses.replace(part, teacher=tuple(_absolute(path) for path in part.teacher)),
    )


def _absolute(path: str) -> str:
    if path in ("none", "imagenet"):
        return path
    place = expand_home(path)
    return str(place.resolve()) if place.exists() else path
