"""How long work tells its caller where it is, without knowing who shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

ProgressFn: TypeAlias = Callable[[str, int, int | None], None]
"""Called as `progress(stage, done, total)`; `total` is None where it cannot be known."""


def silent(stage: str, done: int, total: int | None) -> None:
    """Show nothing: the default of every function that takes a `progress`."""
