"""Processes that compute for this one, such as an engine's browser: what they take is no load of others."""

from __future__ import annotations

_ours: set[int] = set()


def add_process(pid: int) -> None:
    """Count the process `pid`, and those that it starts, as part of this one."""
    _ours.add(pid)


def remove_process(pid: int) -> None:
    """Undo `add_process`; nothing where it was not added."""
    _ours.discard(pid)


def own_processes() -> frozenset[int]:
    """The processes that were added, without those that they started."""
    return frozenset(_ours)
