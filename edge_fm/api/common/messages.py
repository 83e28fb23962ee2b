"""The messages of a function that works for long, besides its progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

MessageFn: TypeAlias = Callable[[str], None]
"""Called with one sentence: a note, or a warning on which the worth of the result depends."""


def ignore_message(text: str) -> None:
    """Ignore a message: the default of every function that takes a `note` or a `warn`."""
