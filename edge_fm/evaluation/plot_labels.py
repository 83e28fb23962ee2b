"""Labels as a plot has room for them: on one line, and no longer than that; pages and tables show them whole."""

from __future__ import annotations

import unicodedata


def label_width(label: str) -> int:
    """How wide a label is, in Latin letters; ideographs count twice.

    Example:
        >>> label_width("日本"), label_width("Bag")
        (4, 3)
    """
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in label)


def short_label(label: str, width: int) -> str:
    r"""A label on one line; of one that is wider than `width` the beginning and the end.

    Example:
        >>> short_label("two\nlines", 12), short_label("Fagus sylvatica purpurea", 12)
        ('two lines', 'Fagus …purea')
    """
    line = " ".join(label.split())
    if label_width(line) <= width:
        return line
    end = _cut(line[::-1], (width - 1) // 2)[::-1]
    return f"{_cut(line, width - 1 - label_width(end))}…{end}"


def _cut(text: str, width: int) -> str:
    while label_width(text) > width:
        text = text[: min(len(text) - 1, width)]
    return text
