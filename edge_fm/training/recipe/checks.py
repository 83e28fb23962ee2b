"""Checks of a recipe's values, and their error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from edge_fm_runtime.errors import RecipeError


def nearest(name: str, known: Iterable[str]) -> str | None:
    """A hint that names the nearest known name, or None."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"Did you mean {near[0]!r}?" if near else None


def check(condition: bool, message: str, hint: str | None = None) -> None:
    """Raise a RecipeError unless the condition holds."""
    if not condition:
        raise RecipeError(message, hint=hint)


def require_one_class(what: str, *, multi_label: bool) -> None:
    """Raise a RecipeError where images have several labels."""
    check(
        not multi_label,
        f"{what} is for one class an image; [data] multi_label is true.",
        "Train single runs: edgefm train --recipe FILE",
    )


def check_choice(value: str, choices: tuple[str, ...], what: str) -> None:
    """Raise a RecipeError that names the nearest choice unless the value is one."""
    if value not in choices:
        raise RecipeError(
            f"There is no {what} {value!r}. Supported: {', '.join(choices)}.", hint=nearest(value, choices)
        )
