"""Values as C++ source text: identifiers, string literals, arrays and floats; the same values give the same text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np

_LINE = 16
_PLAIN = frozenset(range(0x20, 0x7F)) - {ord('"'), ord("\\"), ord("?")}
_LONGEST_IDENTIFIER = 48


def identifier(name: str) -> str:
    """A C++ identifier made of a name: ASCII letters, digits and single underscores.

    It begins with "edgefm_", so that it is neither a keyword nor begins with a digit.

    Example:
        >>> identifier("7-class net (v2)"), identifier("int"), identifier("模型")
        ('edgefm_7_class_net_v2', 'edgefm_int', 'edgefm_model')
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.sub(r"[^0-9A-Za-z]+", "_", plain).strip("_")[:_LONGEST_IDENTIFIER].strip("_")
    return f"edgefm_{words or 'model'}"


def string_literal(text: str) -> str:
    r"""A C++ string literal of the UTF-8 bytes of `text`; what is not plain ASCII is escaped, three octal digits each.

    Question marks are, too: two of them and a third character are a trigraph to some compilers.

    Example:
        >>> print(string_literal('T-shirt/"top"\n'))
        "T-shirt/\042top\042\012"
    """
    content = text.encode("utf-8", "surrogateescape")
    return '"' + "".join(chr(byte) if byte in _PLAIN else f"\\{byte:03o}" for byte in content) + '"'


def comment(text: str) -> str:
    """`text` on one line that ends no comment and continues none: printable ASCII without a backslash."""
    return "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in text)


def float_literal(value: float) -> str:
    """The shortest C++ literal that is the float32 `value`.

    Example:
        >>> float_literal(1 / 255), float_literal(1.0)
        ('0.003921569f', '1.0f')
    """
    text = str(np.float32(value))
    return f"{text}f" if any(c in text for c in ".e") else f"{text}.0f"


def array_lines(values: Iterable[int], *, hexadecimal: bool = False) -> list[str]:
    """The lines between the braces of an array of integers, 16 values each."""
    words = [f"0x{value:02x}" if hexadecimal else str(value) for value in values]
    return [f"    {', '.join(words[i : i + _LINE])}," for i in range(0, len(words), _LINE)]


def list_lines(items: Sequence[str]) -> list[str]:
    """The lines between the braces of an array, one item each."""
    return [f"    {item}," for item in items]
