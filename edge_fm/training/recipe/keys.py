"""Edit a recipe by key paths, such as "optimizer.learning_rate": what `--grid`, a search space and `--set` share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_fm.training.recipe import Recipe
from edge_fm.training.recipe.table import recipe_from_table, recipe_table
from edge_fm.training.recipe.toml_text import parse_toml
from edge_fm_runtime.errors import RecipeError

TABLE_EXAMPLES = {
    "data.relabel": '{Sandal = "shoe", Sneaker = "shoe"}',
    "model.options": "{dropout = 0.2}",
    "optimizer.rates": "{stem = 0.1}",
}
"""Keys of a recipe that hold a table -> a value of each as TOML writes it."""


def with_keys(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """Set keys of a recipe.

    Another optimizer brings its own usual learning rate, decay and momentum, another model its own options, and fewer
    epochs than `clean_epochs` shorten that too; unless `changes` sets them itself.

    Args:
        recipe: stays as it is.
        changes: key path -> plain value, such as "seed", "training.epochs" or "model.options.dropout".

    Raises:
        RecipeError, ModelError: as for a recipe that is read from a file.

    Example:
        >>> from edge_fm.training import Recipe
        >>> from edge_fm.training.recipe.keys import with_keys
        >>> changed = with_keys(Recipe(), {"optimizer.name": "sgd", "training.epochs": 3})
        >>> changed.optimizer.name, changed.training.epochs
        ('sgd', 3)
    """
    table = recipe_table(recipe)
    if changes.get("optimizer.name", recipe.optimizer.name) != recipe.optimizer.name:
        table["optimizer"] = {}
    if changes.get("model.name", recipe.model.name) != recipe.model.name:
        table["model"] = {"weights": recipe.model.weights}
    epochs = changes.get("training.epochs")
    if type(epochs) is int and "augmentation.clean_epochs" not in changes:
        table["augmentation"]["clean_epochs"] = min(recipe.augmentation.clean_epochs, max(epochs - 1, 0))
    for path, value in changes.items():
        _put(table, path, list(value) if isinstance(value, tuple) else value)
    return recipe_from_table(table)


def value_at(recipe: Recipe, path: str) -> Any:
    """What a recipe has at a key path; None where the recipe leaves it out.

    Example:
        >>> from edge_fm.training import Recipe
        >>> value_at(Recipe(), "training.batch_size")
        128
    """
    here: Any = recipe_table(recipe)
    for name in path.split("."):
        here = here.get(name) if isinstance(here, dict) else None
    return here


def parse_value(text: str) -> Any:
    """Read a value as TOML writes it; what is none, such as a bare word, is text.

    Example:
        >>> [parse_value(text) for text in ("0.001", "16", "true", "[28, 28, 1]", "adam")]
        [0.001, 16, True, [28, 28, 1], 'adam']
    """
    try:
        table = parse_toml(f"value = {text}")
    except ValueError:
        return text
    return table["value"] if list(table) == ["value"] else text


def _put(table: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    here: Any = table
    for name in parents:
        here = here.setdefault(name, {})
        if not isinstance(here, dict):
            raise RecipeError(f"{path!r} is not a key of a recipe: {name!r} is not a table.")
    is_table = isinstance(here.get(last), dict)
    if is_table and path in TABLE_EXAMPLES and not isinstance(value, dict):
        example = f"{path}={TABLE_EXAMPLES[path]}"
        raise RecipeError(
            f"{path} must be a table as TOML writes it, got {value!r}.",
            hint=f"Write names and values in braces, and all of it in quotes for the shell, such as '{example}'",
        )
    if not last or (is_table and not isinstance(value, dict)):
        raise RecipeError(
            f"{path!r} is not a key of a recipe{', but a section' if is_table else ''}.",
            hint="Write section.key, such as optimizer.learning_rate or seed.",
        )
    here[last] = value
