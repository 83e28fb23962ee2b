"""Ctrl-C while a model is trained: what was finished is kept, and the process says how to go on."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from edge_fm.cli.common import Talk, word
from edge_fm_runtime.progress import ProgressFn

INTERRUPTED = 130
"""Exit code: 128 + SIGINT, as shells report it."""


@contextmanager
def ctrl_c_kept(progress: ProgressFn) -> Iterator[ProgressFn]:
    """Remember Ctrl-C and raise it at the next batch.

    Python raises KeyboardInterrupt wherever the main thread happens to be; in a callback from the backend's native code
    it can be swallowed, and the training would go on. A second Ctrl-C is raised at once.
    """
    pressed = False

    def press(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    def checked(stage: str, done: int, total: int | None) -> None:
        progress(stage, done, total)
        if pressed:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield progress
        return
    before = signal.signal(signal.SIGINT, press)
    try:
        yield checked
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def many_runs(talk: Talk) -> Iterator[ProgressFn]:
    """Progress on stderr for several trainings in a row; Ctrl-C ends the process with the command that goes on."""
    try:
        with talk.progress() as progress, ctrl_c_kept(progress) as asked:
            yield asked
    except KeyboardInterrupt:
        talk.note("\nStopped. The finished epochs are kept.")
        talk.next(typed_command())
        sys.exit(INTERRUPTED)


def typed_command() -> str:
    """The command that was typed; typed again, it goes on."""
    return " ".join(["edgefm", *map(word, sys.argv[1:])])
