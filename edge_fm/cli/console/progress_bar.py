"""Progress on stderr, and messages above it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from edge_fm.cli.console.printable import printable_name
from edge_fm_runtime.progress import ProgressFn

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

_consoles: list[RichConsole] = []
"""Consoles of the progress bars that are on the screen, the newest last."""


def print_message(text: str, *, nl: bool = True) -> None:
    """Print `text` on stderr, above the progress bar where one is on the screen.

    Written straight to stderr, the next drawing of the bar would erase it.
    """
    if _consoles:
        _consoles[-1].out(text, highlight=False, end="\n" if nl else "")
    else:
        click.echo(text, nl=nl, err=True)


@contextmanager
def progress_bar() -> Iterator[ProgressFn]:
    """One line on stderr about the stage that is under way; yields the function that moves it.

    Without a terminal, a line when a stage begins, so that a log stays readable.
    """
    from rich.console import Console as RichConsole

    console = RichConsole(stderr=True)
    if not console.is_terminal:
        yield _lines()
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),  # a folder's name may look like markup
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("eta"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        shown: dict[str, Any] = {}

        def move(stage: str, done: int, total: int | None) -> None:
            if stage not in shown:
                for other in shown.values():
                    bar.remove_task(other)
                shown.clear()
                shown[stage] = bar.add_task(printable_name(stage), total=total)
            bar.update(shown[stage], completed=done, total=total)

        _consoles.append(console)
        try:
            yield move
        finally:
            _consoles.remove(console)


def _lines() -> ProgressFn:
    seen: set[str] = set()

    def move(stage: str, done: int, total: int | None) -> None:
        if stage not in seen:
            seen.add(stage)
            click.echo(f"{printable_name(stage)} ...", err=True)

    return move
