"""Text from outside (names of files, labels, messages of libraries) as a terminal may show it: nothing in it acts."""

from __future__ import annotations

import json
import re
from typing import Any

_CONTROLS = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0, DEL and C1: escape sequences begin with them
    "\u2028\u2029"  # line and paragraph separators
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # they turn the direction of what follows
    "\u200b\u2060\ufeff"  # invisible: two names would look alike
    "\ud800-\udfff"  # bytes that are no UTF-8, as `os.fsdecode` keeps them
    "]"
)

_LONG = re.compile(r"\S{1000,}")


def printable(text: str, *, lines: bool = False) -> str:
    r"""Escape control characters, invisible ones, and those that turn the direction of text.

    Args:
        text: what is printed.
        lines: keep line breaks, for a message of several lines.

    Example:
        >>> printable("Ankle\x1b[31m boot\n"), printable("two\nlines", lines=True)
        ('Ankle\\x1b[31m boot\\n', 'two\nlines')
    """
    return _CONTROLS.sub(lambda match: "\n" if lines and match[0] == "\n" else _escape(match[0]), text)


def printable_message(text: str) -> str:
    """A message as `printable` gives it, each word of more than 1,000 characters (a path, a label) cut in its middle.

    Example:
        >>> printable_message(f"{'x' * 5000} does not exist.")[398:420]
        'xx...xxxxxxxxxxxxxxxxx'
    """
    return _LONG.sub(lambda match: f"{match[0][:400]}...{match[0][-100:]}", printable(text, lines=True))


def printable_json(value: Any, *, indent: int | None = None) -> str:
    r"""JSON in which control characters stand as JSON's own escapes, so that it reads back as it was.

    Example:
        >>> printable_json({"label": "\x9b1mHat"})
        '{"label": "\\u009b1mHat"}'
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    # Outside of strings JSON has no other control character than the line breaks of the indentation.
    return _CONTROLS.sub(lambda match: "\n" if match[0] == "\n" else f"\\u{ord(match[0]):04x}", text)


def _escape(char: str) -> str:
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")
