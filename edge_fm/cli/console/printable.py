"""Text from outside (names of files, labels, messages of libraries) as a terminal may show it: nothing in it acts."""

from __future__ import annotations

import json
import re
from typing import Any

from edge_fm_runtime.errors import EdgeFMError

_CONTROLS = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0, DEL and C1: escape sequences begin with them
    "\u2028\u2029"  # line and paragraph separators
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # they turn the direction of what follows
    "\u200b\u2060\ufeff"  # invisible: two names would look alike
    "\ud800-\udfff"  # bytes that are no UTF-8, as `os.fsdecode` keeps them
    "]"
)

_IN_A_NAME = re.compile(r"\n(?!  )")

_LONG_NAME = 1_000
_LONG_LINE = 4_000
_LONG_WORD = re.compile(rf"\S{{{_LONG_NAME + 1},}}")


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


def printable_name(text: str) -> str:
    """A name (of a file, a label) as `printable` gives it; one of more than 1,000 characters is cut in its middle.

    Example:
        >>> printable_name("x" * 100_000) == "x" * 400 + "..." + "x" * 100
        True
    """
    return _cut(printable(text), _LONG_NAME)


def printable_message(text: str, *, lines: bool = True) -> str:
    """Prose as `printable` gives it, for a person: what is too long to be read is cut in its middle.

    That is each word (a path, a label) of more than 1,000 characters, and each line of more than 4,000. JSON and CSV,
    which programs read, keep it whole.

    Args:
        text: what is printed.
        lines: keep line breaks, for a message of several lines.

    Example:
        >>> printable_message(f"{'x' * 5000} does not exist.")[398:420]
        'xx...xxxxxxxxxxxxxxxxx'
    """
    shown = _LONG_WORD.sub(lambda match: _cut(match[0], _LONG_NAME), printable(text, lines=lines))
    return "\n".join(_cut(line, _LONG_LINE) for line in shown.split("\n"))


def printable_error(error: BaseException) -> str:
    r"""An error as `printable_message` gives it: its message, and on a line of its own its hint.

    A line break stays only before two spaces, as lists in our messages have them: any other came with a name or a
    label, which could write a line of its own.

    Example:
        >>> print(printable_error(ValueError("2 files cannot be read:\n  - a.png\n  - two\nlines.png")))
        2 files cannot be read:
          - a.png
          - two\nlines.png
    """
    parts = (error.message, error.hint) if isinstance(error, EdgeFMError) else (str(error),)
    shown = (_IN_A_NAME.sub(r"\\n", part.replace("\r\n", "\n")) for part in parts if part)
    return printable_message("\n".join(shown))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest * 2 // 5]}...{text[-longest // 10 :]}"


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
