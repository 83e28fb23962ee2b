"""Ctrl-C or SIGTERM while a model is trained: what was finished is kept, and the process says how to go on."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from edge_fm.cli.console.common import Talk, word
from edge_fm.signals import ENDING, Interrupted, heeded, interruption
from edge_fm_runtime.progress import ProgressFn


def exit_code() -> int:
    """Exit code of a process that a signal asked to end: 128 and its number, as shells report it."""
    return (interruption() or Interrupted(signal.SIGINT)).exit_code


@contextmanager
def ctrl_c_kept(progress: ProgressFn) -> Iterator[ProgressFn]:
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


@contextmanager
def many_runs(talk: Talk) -> Iterator[ProgressFn]:
    """Progress on stderr for several trainings in a row; Ctrl-C ends the process with the command that goes on."""
    try:
        with talk.progress() as progress, ctrl_c_kept(progress) as asked:
            yield asked
    except KeyboardInterrupt:
        talk.note("\nStopped. The finished epochs are kept.")
        talk.next(typed_command())
        sys.exit(exit_code())


def typed_command() -> str:
    """The command that was typed; typed again, it goes on."""
    return " ".join(["edgefm", *map(word, sys.argv[1:])])
