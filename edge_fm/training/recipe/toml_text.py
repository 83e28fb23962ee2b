"""TOML from untrusted files: whatever is wrong with it is a ValueError."""

from __future__ import annotations

import tomllib
from typing import Any

_MAX_CHARACTERS = 1 << 20


def parse_toml(text: str) -> dict[str, Any]:
    """Read a TOML document.

    Raises:
        ValueError: no TOML, longer than a million characters, with an integer of more than the 64 bits that TOML has,
            or nested too deep. `tomllib.TOMLDecodeError` is one.
    """
    if len(text) > _MAX_CHARACTERS:
        raise ValueError(f"it has {len(text):,} characters; at most {_MAX_CHARACTERS:,} are read")
    try:
        table = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    todo: list[Any] = [table]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            todo.extend(value.values())
        elif isinstance(value, list):
            todo.extend(value)
        elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            raise ValueError(f"it holds an integer of {value.bit_length() + 1} bits; TOML's have 64")
    return table
