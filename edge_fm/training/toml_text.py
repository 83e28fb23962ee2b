"""TOML from files that anybody may have written: whatever is wrong with it is a ValueError."""

from __future__ import annotations

import tomllib
from typing import Any

_MAX_CHARACTERS = 1 << 20


def parse_toml(text: str) -> dict[str, Any]:
    """Read a TOML document.

    Raises:
        ValueError: no TOML, longer than a million characters, with an integer of thousands of digits, or nested too
            deep. `tomllib.TOMLDecodeError` is one.
    """
    if len(text) > _MAX_CHARACTERS:
        raise ValueError(f"it has {len(text):,} characters; at most {_MAX_CHARACTERS:,} are read")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
