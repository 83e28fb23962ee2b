"""Another library's error in one line of a message of ours."""

from __future__ import annotations

_MAX_CHARACTERS = 300


def brief(error: BaseException) -> str:
    """The first line of an error's text that says anything, cut where it is very long; else the error's kind."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= _MAX_CHARACTERS else f"{text[: _MAX_CHARACTERS - 3]}..."
