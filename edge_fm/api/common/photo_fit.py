"""The recipe `photo` for the data of a command: which size its images get, and how it is fitted to their number."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from edge_fm_runtime.progress import MessageFn

if TYPE_CHECKING:
    from pathlib import Path

    from edge_fm.data import Dataset
    from edge_fm.training import Recipe

Size = tuple[int, int, int]


def is_photo_recipe(recipe: str | Path | None) -> bool:
    """Whether a recipe is the shipped `photo`, which is fitted to the number of photos."""
    from edge_fm.training.recipe.photo import PHOTO

    return recipe == PHOTO


def sizes(
    recipe: str | Path, shipped: Recipe, size: Size | None, options: Mapping[str, Any] | None = None
) -> tuple[Size | None, dict[str, Any]]:
    """The size that images are brought to, and the options of the model.

    Args:
        recipe: name or file.
        shipped: what it holds.
        size: that the user names, or None.
        options: of the model, that the user names.

    Returns:
        For the recipe `photo` its own size where the user names none, and a model that takes this size; else what the
        user names.
    """
    options = dict(options or {})
    if not is_photo_recipe(recipe) or not shipped.data.shape:
        return size, options
    size = size or (shipped.data.shape[0], shipped.data.shape[1], shipped.data.shape[2])
    return size, {"size": max(32, *size[:2]), **options}


def fitted(
    recipe: Recipe,
    dataset: Dataset,
    *,
    given: Collection[str],
    note: MessageFn,
    share: float = 1.0,
) -> Recipe:
    """Fit the recipe `photo` to the number of photos that are learned from.

    Args:
        recipe: with the data in place.
        dataset: as from `load_recipe_data`.
        given: keys of the recipe that the user set, which stay.
        note: called with one sentence about it.
        share: of the training images that one run learns from, as in cross-validation.
    """
    from edge_fm.training.input_pipeline.recipe_data import training_and_validation
    from edge_fm.training.recipe.photo import fitted_to_photos

    learned = len(training_and_validation(recipe, dataset)[0])
    changed, line = fitted_to_photos(recipe, max(1, round(share * learned)), given=given)
    note(line)
    return changed


def edited_recipe(recipe: str | Path, shipped: Recipe, *, size: Size | None, **changes: Any) -> Recipe:
    """The recipe of a study: what the command line changes in it, the recipe `photo` at its own size.

    Args:
        recipe: name or file.
        shipped: what it holds.
        size: that the user names, or None.
        changes: further ones, as for `with_overrides`.
    """
    from edge_fm.training import with_overrides

    size, options = sizes(recipe, shipped, size)
    return with_overrides(shipped, size=size, options=options, **changes)


def epochs_key(epochs: int | None) -> set[str]:
    """The key of the recipe that `--epochs` sets, where the user sets it."""
    return set() if epochs is None else {"training.epochs"}
