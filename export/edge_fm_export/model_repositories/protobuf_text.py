"""Strings in protobuf's text format."""

from __future__ import annotations

_ESCAPED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quoted(text: str) -> str:
    r"""A string as protobuf's text format writes it.

    Example:
        >>> print(quoted('T-shirt "top"'))
        "T-shirt \"top\""
    """
    return '"' + "".join(_ESCAPED.get(character, character) for character in text) + '"'
