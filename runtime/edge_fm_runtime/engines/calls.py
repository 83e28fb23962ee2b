"""Calls in flight of something that can be closed: closing waits for them, later ones are refused."""

from __future__ import annotations

import threading

from edge_fm_runtime.errors import ClosedError


class Calls:
    """Counts calls in flight; a context manager around each call, for any number of threads.

    Args:
        what: what is called, for the error of a call that comes too late, such as "The classifier".

    Example:
        >>> calls = Calls("The camera")
        >>> with calls:
        ...     pass
        >>> calls.close(), calls.close()
        (True, False)
    """

    def __init__(self, what: str) -> None:
        self._what = what
        # Reentrant: a signal may end a call between taking the lock and giving it back.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._running: dict[int, int] = {}
        """Thread -> its calls in flight."""
        self._closed = False

    def __enter__(self) -> None:
        with self._lock:  # the lock itself: its condition is entered in Python, which each call would pay for
            if self._closed:
                raise ClosedError(
                    f"{self._what} is closed.",
                    hint="Load the artifact again: Classifier.load(...); or close it after the last call.",
                )
            here = threading.get_ident()
            self._running[here] = self._running.get(here, 0) + 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            here = threading.get_ident()
            left = self._running.pop(here) - 1
            if left:
                self._running[here] = left
            if self._closed:
                self._changed.notify_all()

    def close(self) -> bool:
        """Refuse later calls and wait for those in flight in other threads.

        A call of this thread that counts as in flight was ended by a signal before it could be counted out.

        Returns:
            whether this is the first call of `close`: the caller then releases what the calls used.
        """
        with self._changed:
            first, self._closed = not self._closed, True
            here = threading.get_ident()
            while self._running.keys() - {here}:
                self._changed.wait()
        return first
