"""The dataset of a recipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from edge_fm.training.recipe import Recipe
from edge_fm_runtime.progress import ProgressFn, silent

if TYPE_CHECKING:
    from edge_fm.data import Dataset, Split


def load_recipe_data(
    recipe: Recipe, *, progress: ProgressFn = silent, note: Callable[[str], None] | None = None
) -> Dataset:
    """Load what the recipe's [data] names, and prepare it as that says: what `train` takes.

    Args:
        recipe: whose [data] and [photo] are used.
        progress: called as work goes on.
        note: called with what is tried when something is fetched, and what was done to the source's own data.

    Raises:
        DataError: as for `edge_fm.data.load_dataset`.

    Example:
        >>> from edge_fm.training import load_recipe
        >>> from edge_fm.training.input_pipeline.recipe_data import load_recipe_data
        >>> len(load_recipe_data(load_recipe("quickstart")).train)
        6000
    """
    from edge_fm.data import load_dataset, prepare

    dataset = load_dataset(
        recipe.data.source,
        shape=cast("tuple[int, int, int] | None", recipe.data.shape or None),
        photo=recipe.photo,
        skip_unreadable=recipe.data.skip_unreadable,
        group=recipe.data.group,
        label_column=recipe.data.label_column,
        multi_label=recipe.data.multi_label,
        progress=progress,
        note=note or (lambda _: None),
    )
    return prepare(dataset, recipe.data.preparation)


def notes_of_preparation(recipe: Recipe, dataset: Dataset) -> list[str]:
    """What was done to the source's data, one sentence each."""
    notes, part, lines = dataset.notes, recipe.data, []
    if part.relabel or part.classes:
        lines.append(f"Classes: {notes['classes']}.")
    if part.deduplicate:
        removed = notes["duplicates_removed"]
        lines.append(
            f"Dropped {removed['repeated']:,} training images that occur before and {removed['in_test']:,} that are in "
            "the test split"
            + (f", {removed['in_validation']:,} in the validation split." if "in_validation" in removed else ".")
        )
    if part.split:
        lines.append(f"Test images: {notes['test']}.")
    if part.samples:
        lines.append(f"Training images: {notes['samples']}.")
    if dataset.validation is None and not part.split and dataset.train.groups:
        lines.append(
            f"Validation images: whole groups with about {100 * part.validation:g}% of each class's training images, "
            f"drawn with seed {_validation_seed(recipe)}; {_what_they_do(recipe)}. {_another_share(recipe)}"
        )
    elif dataset.validation is None and not part.split:
        lines.append(
            f"Validation images: {100 * part.validation:g}% of each class's training images, drawn with seed "
            f"{_validation_seed(recipe)}; {_what_they_do(recipe)}. {_another_share(recipe)}"
        )
    return lines


def _what_they_do(recipe: Recipe) -> str:
    """What the validation images are for: the recipe `photo` keeps the last epoch where they would be a handful."""
    return (
        "they select the best epoch"
        if recipe.training.keep == "best"
        else "they are evaluated after each epoch, and the last epoch is kept"
    )


def _another_share(recipe: Recipe) -> str:
    """The option that sets the share of the validation images, with another one than the recipe's."""
    return f"Another share: --set data.validation={0.1 if recipe.data.validation == 0.2 else 0.2}"


def training_and_validation(recipe: Recipe, dataset: Dataset) -> tuple[Split, Split]:
    """The training images, and the validation images, which select the best epoch.

    A dataset's own validation split is used; where there is none, it is taken out of the training split.

    Args:
        recipe: whose `validation` or `split`, and `validation_seed` or seed, are used.
        dataset: as from `load_recipe_data`.

    Raises:
        DataError: as for `edge_fm.data.split_validation`.
    """
    from edge_fm.data import split_validation
    from edge_fm.data.label_sets import strata

    if dataset.validation is not None:
        return dataset.train, dataset.validation
    split = dataset.train
    seed = _validation_seed(recipe)
    classes = strata(split.labels) if recipe.data.multi_label else None
    if not recipe.data.split:
        return split_validation(split, fraction=recipe.data.validation, seed=seed, classes=classes)
    learned, validation, _ = recipe.data.split
    count = max(1, round(len(split) * validation / (learned + validation)))
    return split_validation(split, count=count, seed=seed, classes=classes)


def _validation_seed(recipe: Recipe) -> int:
    return recipe.seed if recipe.data.validation_seed is None else recipe.data.validation_seed
