"""Names that come from files: of models, runs and artifacts. They become folder names, so they are never paths."""

from __future__ import annotations

_MAX_BYTES = 200
_FORBIDDEN = frozenset("/\\\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Path separators, line separators, and marks that make text read in another order than it is written."""

NAME_RULE = f"1 to {_MAX_BYTES} bytes of text without slashes, control characters or a leading dot"
"""What `is_plain_name` wants, for messages."""


def is_plain_name(text: str) -> bool:
    r"""Whether `text` can name a folder and nothing else: no path, no hidden file, nothing that does not print.

    Example:
        >>> [is_plain_name(text) for text in ("edgenet-s", "My model (2)", "../x", "..", "a/b", "a\nb", "")]
        [True, True, False, False, False, False, False]
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:  # a lone surrogate: no text
        return False
    control = any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in text)
    return 0 < size <= _MAX_BYTES and not text.startswith(".") and not control and _FORBIDDEN.isdisjoint(text)
