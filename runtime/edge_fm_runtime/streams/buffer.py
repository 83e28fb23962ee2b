"""A source that is drawn from on a thread of its own, in bounded memory: everything in order, or the newest only."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")

_JOIN_S = 0.5
"""How long the end of a stream waits for its thread; one that a camera holds up ends with the process."""


class Buffer(Generic[T]):
    """What a source yields, for a reader that may be slower.

    The source is drawn from on a thread, so that a camera is emptied while a model computes, and Ctrl-C is heeded while
    a camera waits.

    Args:
        source: drawn from until it ends or the buffer is closed.
        capacity: items that wait, at most.
        newest: an item that finds no room replaces the oldest one, which is dropped and counted; else the source
            waits.
    """

    def __init__(self, source: Iterable[T], *, capacity: int, newest: bool) -> None:
        self._items: deque[T] = deque()
        self._capacity, self._newest = capacity, newest
        self._dropped = 0
        self._ended = self._closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._fill, args=(source,), name="edgefm-frames", daemon=True)
        self._thread.start()

    def take(self, most: int) -> tuple[list[T], int]:
        """Wait for an item; also returns how many were dropped since the last call.

        Args:
            most: items at once, at most; as many as are waiting.

        Returns:
            Items, none of them once the source has ended; and how many were dropped before the first of them.

        Raises:
            whatever the source raised, after its last item.
        """
        with self._changed:
            while not self._items and not self._ended:
                self._changed.wait()
            if not self._items and self._error is not None:
                raise self._error
            items = [self._items.popleft() for _ in range(min(most, len(self._items)))]
            dropped, self._dropped = self._dropped, 0
            self._changed.notify_all()
            return items, dropped

    def close(self) -> None:
        """Draw no more; what waits is dropped."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()
        self._thread.join(_JOIN_S)

    def _fill(self, source: Iterable[T]) -> None:
        try:
            for item in source:
                if not self._put(item):
                    break
        except BaseException as error:  # noqa: BLE001  # raised where the items are taken
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, item: T) -> bool:
        with self._changed:
            if self._newest and len(self._items) == self._capacity:
                self._items.popleft()
                self._dropped += 1
            while len(self._items) == self._capacity and not self._closed:
                self._changed.wait()
            if not self._closed:
                self._items.append(item)
                self._changed.notify_all()
            return not self._closed
