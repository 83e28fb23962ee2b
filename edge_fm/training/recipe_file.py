"""Recipes as TOML: shipped ones by name, the user's by path."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from edge_fm.training.recipe import (
    AugmentationPart,
    DataPart,
    ModelPart,
    OptimizerPart,
    Recipe,
    SchedulePart,
    TrainingPart,
    nearest,
)
from edge_fm_runtime.errors import MissingDependencyError, RecipeError
from edge_fm_runtime.metadata import Background, PhotoMode, PhotoSpec

SCHEMA = 1
DEFAULT_RECIPE = "edgenet-s"

# Field name -> what TOML must hold there. A bool is no int here, and an int will do for a float.
_TEXT, _INT, _FLOAT, _BOOL, _INTS, _TABLE = (
    "text",
    "a whole number",
    "a number",
    "true or false",
    "whole numbers",
    "a table",
)
_PARTS: dict[str, tuple[type[Any], dict[str, str]]] = {
    "model": (ModelPart, {"name": _TEXT, "weights": _TEXT, "options": _TABLE}),
    "data": (DataPart, {"source": _TEXT, "shape": _INTS, "validation": _FLOAT}),
    "training": (TrainingPart, {"epochs": _INT, "batch_size": _INT, "label_smoothing": _FLOAT}),
    "optimizer": (
        OptimizerPart,
        {"name": _TEXT, "learning_rate": _FLOAT, "weight_decay": _FLOAT, "momentum": _FLOAT, "vector_ratio": _FLOAT},
    ),
    "schedule": (SchedulePart, {"name": _TEXT, "warmup": _FLOAT, "factor": _FLOAT, "every": _INT}),
    "augmentation": (AugmentationPart, {"flip": _BOOL, "shift": _INT, "erase": _FLOAT, "clean_epochs": _INT}),
    "photo": (PhotoSpec, {"mode": _TEXT, "background": _TEXT, "fill": _INT}),
}
_TOP = {"schema": _INT, "name": _TEXT, "description": _TEXT, "seed": _INT}
# What every recipe's hash has counted from the first version on. A key that came later counts only where it is not at
# its default, so that a recipe that does not use it keeps its hash.
_FIRST_KEYS = {
    "model": {"name", "weights", "options"},
    "data": {"source", "shape", "validation"},
    "training": {"epochs", "batch_size", "label_smoothing"},
    "optimizer": {"name", "learning_rate", "weight_decay", "momentum", "vector_ratio"},
    "schedule": {"name", "warmup", "factor", "every"},
    "augmentation": {"flip", "shift", "erase", "clean_epochs"},
    "photo": {"mode", "background", "fill"},
}


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

    A plain word is a shipped recipe; anything with a slash or ending in `.toml` is a file.

    Raises:
        RecipeError: no such recipe, malformed TOML, an unknown key or an impossible value.
    """
    text = os.fspath(name_or_path)
    if "/" not in text and not text.endswith(".toml"):
        if text not in shipped_recipes():
            raise RecipeError(
                f"There is no recipe {text!r}. Shipped: {', '.join(shipped_recipes())}.",
                hint=nearest(text, shipped_recipes()) or "A recipe of your own is a path ending in .toml.",
            )
        return parse_recipe(
            resources.files("edge_fm").joinpath("recipes", f"{text}.toml").read_text("utf-8"), where=text
        )
    path = Path(text)
    try:
        content = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"The recipe {path} cannot be read: {error}.", hint="It must be a TOML file.") from error
    return parse_recipe(content, where=str(path))


def parse_recipe(text: str, *, where: str = "the recipe") -> Recipe:
    """Build a recipe from TOML text; what is left out has its default.

    Raises:
        RecipeError: as for `load_recipe`; `where` names the text in the message.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{where} is no TOML: {error}.") from error
    try:
        return recipe_from_table(table)
    except RecipeError as error:
        raise RecipeError(f"{where}: {error.message}", hint=error.hint) from error


def recipe_from_table(table: Mapping[str, Any]) -> Recipe:
    """Build a recipe from nested plain values, the inverse of `recipe_table`."""
    schema = table.get("schema", SCHEMA)
    if schema != SCHEMA:
        raise RecipeError(
            f"The recipe has schema {schema!r}; this version reads {SCHEMA}.", hint="pip install --upgrade edge-fm"
        )
    values: dict[str, Any] = {}
    known = [*_TOP, *_PARTS]
    for key, value in table.items():
        if key in _TOP:
            values[key] = _typed(value, _TOP[key], key)
        elif key in _PARTS:
            values[key] = _part(key, value)
        else:
            raise RecipeError(f"Unknown key {key!r}. Supported: {', '.join(known)}.", hint=nearest(key, known))
    values.pop("schema", None)
    return Recipe(**values)


def _part(section: str, value: Any) -> Any:
    cls, fields = _PARTS[section]
    if not isinstance(value, dict):
        raise RecipeError(f"[{section}] must be a table, got {value!r}.", hint=f"Write a line [{section}].")
    for key in value:
        if key not in fields:
            raise RecipeError(
                f"[{section}] has no key {key!r}. Supported: {', '.join(fields)}.", hint=nearest(key, fields)
            )
    typed = {key: _typed(entry, fields[key], f"[{section}] {key}") for key, entry in value.items()}
    if cls is PhotoSpec:
        for key, choices in (("mode", get_args(PhotoMode)), ("background", get_args(Background))):
            if typed.get(key, choices[0]) not in choices:
                raise RecipeError(
                    f"[photo] {key} is {typed[key]!r}. Supported: {', '.join(choices)}.",
                    hint=nearest(typed[key], choices),
                )
    return cls(**typed)


def _typed(value: Any, kind: str, where: str) -> Any:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if kind == _FLOAT and (whole or isinstance(value, float)):
        return float(value)
    if kind == _INTS and isinstance(value, list) and all(type(entry) is int for entry in value):
        return tuple(value)
    fits = {
        _TEXT: isinstance(value, str),
        _INT: whole,
        _BOOL: isinstance(value, bool),
        _TABLE: isinstance(value, dict),
    }
    if not fits.get(kind, False):
        raise RecipeError(f"{where} must be {kind}, got {value!r}.")
    return value


def recipe_table(recipe: Recipe) -> dict[str, Any]:
    """Turn a recipe into nested plain values that TOML and JSON can hold; what is None is left out."""
    table: dict[str, Any] = {"schema": SCHEMA}
    for key, value in dataclasses.asdict(recipe).items():
        if isinstance(value, dict):
            table[key] = {name: _plain(entry) for name, entry in value.items() if entry is not None}
        else:
            table[key] = value
    return table


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def recipe_toml(recipe: Recipe) -> str:
    """Write a recipe as TOML, every value spelled out; `parse_recipe` reads it back to an equal recipe.

    Raises:
        MissingDependencyError: tomli-w is not installed.
    """
    try:
        import tomli_w
    except ModuleNotFoundError as error:
        raise MissingDependencyError.for_extra("tomli-w", "train", "writing a recipe") from error
    return tomli_w.dumps(recipe_table(recipe))


def recipe_hash(recipe: Recipe) -> str:
    """SHA-256 (hex) of all that decides the result: everything but the name and the description.

    Example:
        >>> from edge_fm.training import Recipe, recipe_hash
        >>> recipe_hash(Recipe(name="a")) == recipe_hash(Recipe(name="b"))
        True
    """
    table = recipe_table(recipe)
    del table["name"], table["description"]
    defaults = recipe_table(Recipe())
    for key in set(table) - _FIRST_KEYS.keys() - _TOP.keys():
        if table[key] == defaults[key]:
            del table[key]
    for section, first in _FIRST_KEYS.items():
        now, usual = table[section], defaults[section]
        table[section] = {k: v for k, v in now.items() if k in first or k not in usual or v != usual[k]}
    canonical = json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
