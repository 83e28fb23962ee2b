"""JSON from files that anybody may have written: whatever is wrong with it is a ValueError."""

from __future__ import annotations

import json
import re
from typing import Any

_MAX_DIGITS = 300
"""Of an integer: a float holds no larger one."""


def parse_json(text: str | bytes) -> Any:
    """Read one JSON value.

    Raises:
        ValueError: no JSON, not in a known encoding, with an integer of more digits than a float can hold, nested too
            deep, or with a lone surrogate, which no file or terminal can hold.
    """
    try:
        value = json.loads(text, parse_int=_integer)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if (b"\\ud" if isinstance(text, bytes) else "\\ud") in text.lower():  # type: ignore[operator]
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("it holds half of a surrogate pair, which is not a character") from error
    return value


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"it holds an integer of {len(digits)} digits; at most {_MAX_DIGITS} are read")
    return int(digits)


def dump_json(value: Any) -> str:
    r"""A value as an indented JSON document, which `parse_json` reads.

    A byte of a file's name that is no UTF-8 stands as the text `\udcNN`, as in the output of `edgefm infer --json`.

    Example:
        >>> parse_json(dump_json({"run": "caf\udce9"}))["run"] == "caf\\udce9"
        True
    """
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return re.sub("[\ud800-\udfff]", lambda match: f"\\\\u{ord(match[0]):04x}", text) + "\n"
