"""Recipes as TOML: shipped ones by name, the user's by path."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from edge_fm.training.recipe import Recipe, nearest
from edge_fm.training.recipe.search_space import SearchPlan, parse_search
from edge_fm.training.recipe.table import SEARCH, recipe_from_table, recipe_table
from edge_fm.training.recipe.toml_text import parse_toml
from edge_fm_runtime.errors import MissingDependencyError, RecipeError

DEFAULT_RECIPE = "edgenet-s"
EXPERIMENTS = "experiments"
"""Folder within the shipped recipes: one for each published row."""


def shipped_recipes() -> tuple[str, ...]:
    """Names of the recipes in the package, sorted.

    Example:
        >>> from edge_fm.training import shipped_recipes
        >>> "edgenet-s" in shipped_recipes()
        True
    """
    folder = resources.files("edge_fm").joinpath("recipes")
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_recipe(name_or_path: str | os.PathLike[str] = DEFAULT_RECIPE) -> Recipe:
    """Read a shipped recipe by name, or a TOML file by path.

    A plain word is a shipped recipe or a published experiment; anything with a slash or ending in `.toml` is a file.

    Raises:
        RecipeError: no such recipe, malformed TOML, an unknown key or an impossible value.
    """
    return parse_recipe(recipe_text(name_or_path), where=os.fspath(name_or_path))


def recipe_text(name_or_path: str | os.PathLike[str]) -> str:
    """The TOML that `load_recipe` reads."""
    text = os.fspath(name_or_path)
    if "/" not in text and not text.endswith(".toml"):
        shipped = resources.files("edge_fm").joinpath("recipes")
        for file in (shipped.joinpath(f"{text}.toml"), shipped.joinpath(EXPERIMENTS, f"{text}.toml")):
            if file.is_file():
                return file.read_text("utf-8")
        experiments = [entry.name.removesuffix(".toml") for entry in shipped.joinpath(EXPERIMENTS).iterdir()]
        raise RecipeError(
            f"There is no recipe {text!r}. Shipped: {', '.join(shipped_recipes())}, and the experiments that "
            "`edgefm experiments` lists.",
            hint=nearest(text, [*shipped_recipes(), *experiments]) or "A recipe of your own is a path ending in .toml.",
        )
    path = Path(text)
    try:
        return path.read_text("utf-8-sig")  # editors on Windows write a byte order mark, which TOML forbids
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"The recipe {path} cannot be read: {error}.", hint="It must be a TOML file.") from error


def load_search(name_or_path: str | os.PathLike[str]) -> tuple[Recipe, SearchPlan]:
    """Read a recipe, shipped or a file as for `load_recipe`, and its [search] table.

    Raises:
        RecipeError: it cannot be read, has no [search], or something in it is wrong.
    """
    where = os.fspath(name_or_path)
    recipe, plan = _parse(recipe_text(name_or_path), where)
    if plan is None:
        raise RecipeError(
            f"{where}: there is no [search] table.",
            hint=f"Search a shipped recipe that has one ({', '.join(_searchable())}), such as edgefm search photo "
            "--data DIR, or add [search.space] to a recipe file of your own, with lines such as "
            '"optimizer.name" = ["sgd", "adam"]',
        )
    return recipe, plan


def _searchable() -> list[str]:
    """Names of the shipped recipes and experiments that have a [search] table."""
    shipped = resources.files("edge_fm").joinpath("recipes")
    files = [*shipped.iterdir(), *shipped.joinpath(EXPERIMENTS).iterdir()]
    texts = {file.name: file.read_text("utf-8") for file in files if file.name.endswith(".toml")}
    return sorted(name.removesuffix(".toml") for name, text in texts.items() if f"\n[{SEARCH}]" in text)


def parse_recipe(text: str, *, where: str = "the recipe") -> Recipe:
    """Build a recipe from TOML text; what is left out has its default.

    A [search] table is checked, and is not part of the recipe: training runs the values as they stand.

    Raises:
        RecipeError: as for `load_recipe`; `where` names the text in the message.
    """
    return _parse(text, where)[0]


def recipe_toml(recipe: Recipe) -> str:
    """Write a recipe as TOML, every value spelled out; `parse_recipe` reads it back to an equal recipe.

    Raises:
        MissingDependencyError: tomli-w is not installed.
        RecipeError: a path has bytes that are no UTF-8, which TOML cannot hold.
    """
    try:
        import tomli_w
    except ModuleNotFoundError as error:
        raise MissingDependencyError.for_extra("tomli-w", "train", "writing a recipe") from error
    text = tomli_w.dumps(recipe_table(recipe))
    try:
        text.encode()
    except UnicodeEncodeError as error:
        line = text[: error.start].rpartition("\n")[2] + text[error.start :].partition("\n")[0]
        raise RecipeError(
            f"A recipe is UTF-8 text, which cannot hold this name: {line}",
            hint="Rename the file or folder, or name a link to it: ln -s OLD NEW",
        ) from error
    return text


def _parse(text: str, where: str) -> tuple[Recipe, SearchPlan | None]:
    try:
        table = parse_toml(text)
    except ValueError as error:
        raise RecipeError(f"{where} is not readable as TOML: {error}.") from error
    search = table.pop(SEARCH, None)
    try:
        recipe = recipe_from_table(table)
        return recipe, None if search is None else parse_search(search, recipe)
    except RecipeError as error:
        raise RecipeError(f"{where}: {error.message}", hint=error.hint) from error
