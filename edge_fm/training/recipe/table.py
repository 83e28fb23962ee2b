"""A recipe as nested plain values: each key checked by the type of its attribute, and written out again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from edge_fm.training.recipe import Recipe, nearest
from edge_fm_runtime.artifacts.metadata import Background, PhotoMode, PhotoSpec
from edge_fm_runtime.errors import RecipeError

SCHEMA = 1
SEARCH = "search"
"""Table of a recipe file that is not part of the recipe; see `search_space`."""

# What TOML must hold for an attribute's type. A bool is not an int here, and an int is accepted for a float.
_TEXT, _INT, _FLOAT, _BOOL, _INTS, _NUMBERS, _TEXTS, _TEXT_OR_TEXTS, _TABLE = (
    "text",
    "a whole number",
    "a number",
    "true or false",
    "whole numbers",
    "a list of numbers",
    "a list of texts",
    "a text or a list of texts",
    "a table",
)
_KINDS: dict[Any, str] = {
    str: _TEXT,
    int: _INT,
    float: _FLOAT,
    bool: _BOOL,
    tuple[int, ...]: _INTS,
    tuple[float, ...]: _NUMBERS,
    tuple[str, ...]: _TEXTS,
    str | tuple[str, ...]: _TEXT_OR_TEXTS,
}


def _kind(hint: Any) -> str:
    """What TOML must hold for a type hint; None is written by leaving the key out."""
    if get_origin(hint) is UnionType and NoneType in get_args(hint):
        (hint,) = (arg for arg in get_args(hint) if arg is not NoneType)
    if get_origin(hint) is Literal:
        return _TEXT
    if get_origin(hint) is Mapping:
        return _TABLE
    return _KINDS[hint]


def _kinds(cls: type[Any]) -> dict[str, str]:
    hints = get_type_hints(cls)
    return {field.name: _kind(hints[field.name]) for field in dataclasses.fields(cls)}


_RECIPE_HINTS = get_type_hints(Recipe)
# Every attribute of a part is a key of its table: a new one needs no line here.
_PARTS: dict[str, tuple[type[Any], dict[str, str]]] = {
    name: (cls, _kinds(cls))
    for name, cls in _RECIPE_HINTS.items()
    if isinstance(cls, type) and dataclasses.is_dataclass(cls)
}
_TOP = {"schema": _INT, **{name: _kind(hint) for name, hint in _RECIPE_HINTS.items() if name not in _PARTS}}


def recipe_from_table(table: Mapping[str, Any]) -> Recipe:
    """Build a recipe from nested plain values, the inverse of `recipe_table`.

    Raises:
        RecipeError: another schema, an unknown key (the hint names the nearest) or an impossible value.
    """
    schema = table.get("schema", SCHEMA)
    if schema != SCHEMA:
        raise RecipeError(
            f"The recipe has schema {schema!r}; this version reads {SCHEMA}.", hint="pip install --upgrade edge-fm"
        )
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key in _TOP:
            values[key] = _typed(value, _TOP[key], key)
        elif key in _PARTS:
            values[key] = _part(key, value)
        else:
            known = [name for name in (*_TOP, *_PARTS, SEARCH) if name != key]
            hint = f"[{SEARCH}] is read from a recipe file." if key == SEARCH else _nearest_path(key, known)
            raise RecipeError(f"Unknown key {key!r}. Supported: {', '.join(known)}.", hint=hint)
    values.pop("schema", None)
    return Recipe(**values)


def _nearest_path(key: str, known: list[str]) -> str | None:
    """A hint that names the nearest top-level name, or the key of a section with the section; None without a near one.

    A key of several sections is named with each.
    """
    sections: dict[str, list[str]] = {}
    for section, (_, fields) in _PARTS.items():
        for name in fields:
            sections.setdefault(name, []).append(section)
    near = get_close_matches(key, [*known, *sections], n=1, cutoff=0.5)
    if not near:
        return None
    paths = near if near[0] in known else [f"{section}.{near[0]}" for section in sections[near[0]]]
    return f"Did you mean {' or '.join(map(repr, paths))}?"


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
    if kind == _NUMBERS and isinstance(value, list) and all(type(entry) in (int, float) for entry in value):
        return tuple(value)  # whole numbers stay whole
    if kind == _TEXTS and isinstance(value, str):
        return (value,)  # a list of one
    if kind in (_TEXTS, _TEXT_OR_TEXTS) and isinstance(value, list) and all(isinstance(v, str) for v in value):
        return tuple(value)
    fits = {
        _TEXT: isinstance(value, str),
        _TEXT_OR_TEXTS: isinstance(value, str),
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
