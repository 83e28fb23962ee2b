"""Calls in flight of something that can be closed: closing waits for them, later ones are refused."""

from __future__ import annotations

import threading
from threading import get_ident

from edge_fm_runtime.errors import ClosedError

_LOOK_AGAIN_S = 0.1
"""A signal's exception may end a call between counting it out and telling so."""


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
        self._running: list[int] = []
        """The thread of each call in flight. Appending and removing are atomic, so that a call takes no lock."""
        # Reentrant: a signal may end a call between taking the lock and giving it back.
        self._changed = threading.Condition(threading.RLock())
        self._closed = False

    def __enter__(self) -> None:
        self._running.append(get_ident())  # before it looks: whoever closes either sees it, or is seen
        if self._closed:
            self.__exit__(None, None, None)
            raise ClosedError(
                f"{self._what} is closed.",
                hint="Load the artifact again: Classifier.load(...); or close it after the last call.",
            )

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._running.remove(get_ident())
        if self._closed:
            with self._changed:
                self._changed.notify_all()

    def close(self) -> bool:
        """Refuse later calls and wait for those in flight in other threads.

        A call of this thread that counts as in flight was ended by a signal before it could be counted out.

        Returns:
            whether this is the first call of `close`: the caller then releases what the calls used.
        """
        with self._changed:
            first, self._closed = not self._closed, True
            here = get_ident()
            while set(self._running.copy()) - {here}:
                self._changed.wait(_LOOK_AGAIN_S)
        return first
