"""How far a long row of answers has come: images a second and time left, on stderr, where that garbles nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import TypeVar

from edge_fm.cli.console.common import Talk

T = TypeVar("T")


def follow(items: Iterable[T], talk: Talk, count: Callable[[], int | None]) -> Iterator[T]:
    """Pass `items` through; show a bar meanwhile and one line at the end.

    The bar is shown where stderr is a terminal and stdout is not: where both are one terminal, the rows themselves
    show how far it is, and a bar would stand between them.

    Args:
        items: what is counted.
        talk: where to; quiet shows nothing.
        count: how many there will be, None where that cannot be known; called only for a bar.
    """
    done, start = 0, perf_counter()
    if talk.quiet:
        yield from items
        return
    if sys.stderr.isatty() and not sys.stdout.isatty():
        with _Bar(count()) as advance:
            for item in items:
                yield item
                done += 1
                advance(done)
    else:
        for item in items:
            yield item
            done += 1
    seconds = perf_counter() - start
    talk.note(f"{done} {'image' if done == 1 else 'images'}, {done / max(seconds, 1e-9):.0f} images/s")


class _Bar:
    """A rich bar with images a second and time left; a context manager that gives the function that moves it."""

    def __init__(self, total: int | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("infer"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]} images/s, eta"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("infer", total=total, rate="-")
        self._start = perf_counter()

    def __enter__(self) -> Callable[[int], None]:
        self._progress.start()
        return self._advance

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _advance(self, done: int) -> None:
        rate = done / max(perf_counter() - self._start, 1e-9)
        self._progress.update(self._task, completed=done, rate=f"{rate:.0f}")
