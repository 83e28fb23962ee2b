"""How long work reports progress and messages to its caller, without knowing who shows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

ProgressFn: TypeAlias = Callable[[str, int, int | None], None]
"""Called as `progress(stage, done, total)`; `total` is None where it cannot be known."""

MessageFn: TypeAlias = Callable[[str], None]
"""Called with one sentence: a note, or a warning on which the worth of the result depends."""


def silent(stage: str, done: int, total: int | None) -> None:
    """Show nothing: the default of every function that takes a `progress`."""


def ignore_message(text: str) -> None:
    """Ignore a message: the default of every function that takes a `note` or a `warn`."""
