"""The progress of a long list of photos on stderr: a bar where it garbles no rows, and images a second at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import TypeVar

from edge_fm.cli.console.console import Console

T = TypeVar("T")


def follow(items: Iterable[T], console: Console, count: Callable[[], int | None]) -> Iterator[T]:
    """Pass `items` through; show a bar meanwhile and one line at the end.

    The bar is shown where stderr is a terminal and stdout is not: where both are one terminal, the rows themselves
    show how far it is, and a bar would stand between them.

    Args:
        items: what is counted.
        console: where to; a quiet one shows nothing.
        count: how many there will be, None where that cannot be known; called only for a bar.
    """
    if console.quiet:
        yield from items
        return
    bar = sys.stderr.isatty() and not sys.stdout.isatty()
    done, total = 0, count() if bar else None
    start = perf_counter()
    with (console if bar else Console(quiet=True)).progress() as progress:
        for item in items:
            yield item
            done += 1
            progress("classifying", done, total)
    seconds = perf_counter() - start
    console.note(f"{done} {'image' if done == 1 else 'images'}, {done / max(seconds, 1e-9):.0f} images/s")
