"""Ctrl-C or SIGTERM while a model is trained: what is finished stays, and the command prints how to go on."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from edge_fm.cli.console.console import Console, shell_word
from edge_fm.signals import ENDING, Interrupted, heeded, interruption
from edge_fm_runtime.progress import ProgressFn

T = TypeVar("T")


def exit_code() -> int:
    """Exit code of a process that a signal ends: 128 and its number, as shells report it."""
    return (interruption() or Interrupted(signal.SIGINT)).exit_code


@contextmanager
def deferred_signals(progress: ProgressFn) -> Iterator[ProgressFn]:
    """Remember Ctrl-C or another signal that asks to end, and raise it at the next batch.

    Python raises KeyboardInterrupt wherever the main thread happens to be; in a callback from the backend's native code
    it can be swallowed, and the training would go on. A second Ctrl-C is raised at once.
    """
    pressed: int | None = None

    def press(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        if not heeded(number):
            return
        if pressed is not None:
            raise Interrupted(pressed)
        pressed = number

    def checked(stage: str, done: int, total: int | None) -> None:
        progress(stage, done, total)
        if pressed is not None:
            raise Interrupted(pressed)

    if threading.current_thread() is not threading.main_thread():
        yield progress
        return
    caught = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, press) for number in caught}
    try:
        yield checked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if pressed is not None:  # it arrived after the last batch
        raise Interrupted(pressed)


def call_interruptibly(console: Console, function: Callable[..., T], **options: Any) -> T:
    """`Console.call` for several trainings in a row; Ctrl-C ends the process with the command that goes on."""
    try:
        with console.progress() as progress, deferred_signals(progress) as checked:
            return function(**options, progress=checked, note=console.note)
    except KeyboardInterrupt:
        console.note("\nStopped. The finished epochs are stored.")
        console.next(typed_command())
        sys.exit(exit_code())


def typed_command() -> str:
    """The command line that was typed; typed again, it goes on."""
    return " ".join(["edgefm", *map(shell_word, sys.argv[1:])])
