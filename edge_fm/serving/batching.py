"""Dynamic batching: images that wait at the same time go through the engine together."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from edge_fm_runtime.arrays import Pixels, Probabilities

Done: TypeAlias = Callable[[Probabilities | Exception, float], None]
"""Called with an image's probabilities float32 `[classes]`, or why there are none, and its share of the time in ms."""


class Batcher:
    """Takes images from any number of threads and calls `run` with those that wait, up to a number at once.

    It has no thread of its own: whoever brings an image while nothing runs, runs it, and then what has come meanwhile;
    the others go on with their next photo.

    Args:
        run: computes float32 `[N,classes]` from uint8 `[N,H,W,C]`.
        max_size: images of one batch.
        delay_s: how long a first image waits for others.
        observe: called with the size of every batch.
    """

    def __init__(
        self,
        run: Callable[[Pixels], Probabilities],
        *,
        max_size: int,
        delay_s: float = 0.0,
        observe: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._run = run
        self._max_size = max_size
        self._delay_s = delay_s
        self._observe = observe
        self._lock = threading.Lock()
        self._came = threading.Condition(self._lock)
        self._waiting: deque[tuple[Pixels, Done]] = deque()
        self._running = False

    def submit(self, canvas: Pixels, done: Done) -> None:
        """Have an image computed, by this thread or by the one that is at it.

        Args:
            canvas: uint8 `[H,W,C]`.
            done: called once, from any thread.
        """
        with self._lock:
            self._waiting.append((canvas, done))
            if self._running:
                self._came.notify()
                return
            self._running = True
        while batch := self._take():
            self._compute(batch)

    def _take(self) -> list[tuple[Pixels, Done]]:
        """The next batch; empty where nothing waits, and then another thread may run."""
        with self._lock:
            if self._delay_s and self._waiting:
                limit = time.monotonic() + self._delay_s
                while len(self._waiting) < self._max_size and (left := limit - time.monotonic()) > 0:
                    self._came.wait(left)
            batch = [self._waiting.popleft() for _ in range(min(self._max_size, len(self._waiting)))]
            self._running = bool(batch)
            return batch

    def _compute(self, batch: list[tuple[Pixels, Done]]) -> None:
        self._observe(len(batch))
        start = time.perf_counter()
        try:
            rows = self._run(np.stack([canvas for canvas, _ in batch]))
        except Exception as error:  # noqa: BLE001  # each of those who wait gets it
            for _, done in batch:
                done(error, 0.0)
            return
        each_ms = (time.perf_counter() - start) * 1e3 / len(batch)
        for (_, done), row in zip(batch, rows, strict=True):
            done(row, each_ms)
