"""Signals that end a command: each raises an exception, so that every `finally` and `with` cleans up on the way out.

The exit code is 128 and the signal's number, as shells report it: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TWICE_S = 1.0
"""`timeout` and supervisors send a signal to the process and again to its group; a person who insists takes longer."""
_AGAIN_S = 0.05


class Interrupted(KeyboardInterrupt):
    """A signal asks this process to end; a KeyboardInterrupt, so that libraries treat it as Ctrl-C.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class _Received:
    """What has arrived: the first signal, and when the last one that was heeded did."""

    number: int | None = None
    at = 0.0
    held = False


_received = _Received()


def interruption() -> Interrupted | None:
    """The signal that ends this process, or None."""
    return None if _received.number is None else Interrupted(_received.number)


def heeded(number: int) -> bool:
    """Note that a signal arrived; False where it is the same one sent twice."""
    now = time.monotonic()
    if _received.number is not None and now - _received.at < _TWICE_S:
        return False
    _received.number, _received.at = _received.number or number, now
    return True


def hold_signals(held: bool) -> None:
    """While held, a signal raises nothing; it is raised a moment later, and again until it is held no more.

    For a step that must not be cut off between being done and being counted, and that cannot take long.
    """
    _received.held = held


def catch_signals() -> None:
    """Let the signals of `ENDING` raise `Interrupted` in the main thread; one that is ignored, as by `nohup`, stays so.

    An exception that arrives in a destructor or a callback of a library is not passed on by Python; it is then raised
    again a moment later.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in ENDING:
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            signal.signal(number, _raise)
    signal.signal(signal.SIGALRM, _raise_again)
    report = sys.unraisablehook

    def again(lost: Any) -> None:
        if isinstance(lost.exc_value, Interrupted):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
        elif _received.number is None:  # what a library makes of an interruption is no news
            report(lost)

    sys.unraisablehook = again


def ignore_signals() -> None:
    """Let nothing interrupt what is left: the command is done, and its exit code stands."""
    for number in (*ENDING, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


def _raise(number: int, frame: FrameType | None) -> None:
    if heeded(number):
        _raise_or_hold(Interrupted(number))


def _raise_again(number: int, frame: FrameType | None) -> None:
    if (lost := interruption()) is not None:
        _raise_or_hold(lost)


def _raise_or_hold(error: Interrupted) -> None:
    if not _received.held:
        raise error
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
