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
        self._changed = threading.Condition(threading.Lock())
        self._running = 0
        self._closed = False

    def __enter__(self) -> None:
        with self._changed:
            if self._closed:
                raise ClosedError(
                    f"{self._what} is closed.",
                    hint="Load the artifact again: Classifier.load(...); or close it after the last call.",
                )
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._running -= 1
            if self._closed:
                self._changed.notify_all()

    def close(self) -> bool:
        """Refuse later calls and wait for those in flight.

        Returns:
            whether this is the first call of `close`: the caller then releases what the calls used.
        """
        with self._changed:
            first, self._closed = not self._closed, True
            while self._running:
                self._changed.wait()
        return first
