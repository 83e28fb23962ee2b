"""Photos to canvases on every core at once: lazily, in bounded memory, in order."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from time import perf_counter
from typing import Generic, TypeVar

from edge_fm_runtime.photos.decode_worker import DecodeWorker
from edge_fm_runtime.system.machine import wanted_cpu_s

In = TypeVar("In")
Out = TypeVar("Out")

_WINDOW = 64
"""Photos before child processes are started; one takes as long to start as a hundred small photos take."""
_BUSY = 0.9
"""Share of the cores that this process keeps busy, or would if it were alone, from which on child processes would only
add work."""


class _End:
    """What ends a queue."""


class ParallelDecoder(Generic[In, Out]):
    """Decodes what a source yields, on threads, and later on one child process for each thread.

    A separate thread draws from the source, so that what has arrived is decoded while the source waits for more, as a
    list on a pipe may.

    Args:
        source: drawn from lazily, never more than `ahead` items before the slowest result.
        decode: called with an item, and the thread's child process once there is one.
        workers: threads.
        ahead: how many items may be under way.
        start: makes a child process; None to stay with threads.
        only_if_idle: child processes are started only where threads leave cores idle, as they do while they wait for
            Python's lock.
    """

    def __init__(
        self,
        source: Iterable[In],
        decode: Callable[[In, DecodeWorker | None], Out],
        *,
        workers: int,
        ahead: int,
        start: Callable[[], DecodeWorker] | None = None,
        only_if_idle: bool = False,
    ) -> None:
        self._decode, self._start, self._only_if_idle = decode, start, only_if_idle
        self._todo: queue.SimpleQueue[tuple[In, Future[Out]] | _End] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Future[Out] | BaseException | _End] = queue.SimpleQueue()
        self._room = threading.Semaphore(ahead)
        self._stopped = threading.Event()
        self._ended = False
        self._processes_pay = False
        self._in_window = 0
        self._waited = False
        self._began = perf_counter(), wanted_cpu_s()
        self._count_lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work, name="edgefm-decode", daemon=True) for _ in range(workers)]
        threading.Thread(target=self._feed, args=(iter(source),), name="edgefm-feed", daemon=True).start()
        for thread in self._threads:
            thread.start()

    def batches(self, size: int) -> Iterator[list[Out]]:
        """Results in order, as many at once as are under way, at most `size`.

        Raises:
            whatever the source or `decode` raised.
        """
        while not self._ended:
            batch = [result for result in [self._next()] if not isinstance(result, _End)]
            while 0 < len(batch) < size and not self._ended and not self._done.empty():
                if not isinstance(result := self._next(), _End):
                    batch.append(result)
            if batch:
                yield batch

    def close(self) -> None:
        """Stop drawing, drop what is not decoded yet, end the child processes."""
        self._stopped.set()
        self._room.release()
        for _ in self._threads:
            self._todo.put(_End())
        for thread in self._threads:
            thread.join()

    def _next(self) -> Out | _End:
        item = self._done.get()
        if isinstance(item, Future):
            result = item.result()
            self._room.release()
            return result
        self._ended = True
        if isinstance(item, BaseException):
            raise item
        return item

    def _feed(self, source: Iterator[In]) -> None:
        try:
            while True:
                self._room.acquire()
                if self._stopped.is_set():
                    return
                item = next(source, _End)
                if item is _End or self._stopped.is_set():
                    return
                future: Future[Out] = Future()
                self._done.put(future)
                self._todo.put((item, future))  # type: ignore[arg-type]  # not _End, as just checked
        except BaseException as error:  # noqa: BLE001  # the source's own error is raised where the results are read
            self._done.put(error)
        finally:
            self._done.put(_End())

    def _count(self) -> None:
        """Count a photo, and look after each window of them whether child processes pay; they stay once started."""
        with self._count_lock:
            self._in_window += 1
            if self._processes_pay or self._in_window < _WINDOW:
                return
            began, now = self._began, (perf_counter(), wanted_cpu_s())
            busy = (now[1] - began[1]) / max(1e-9, now[0] - began[0]) / len(self._threads)
            # Where threads had nothing to do, it is the source or the reader that is slow. What threads had that ended
            # meanwhile is no longer told, so that the share may be negative.
            self._processes_pay = not self._only_if_idle or (0 <= busy < _BUSY and not self._waited)
            self._in_window, self._began, self._waited = 0, now, False

    def _next_task(self) -> tuple[In, Future[Out]] | _End:
        if self._in_window and self._todo.empty():
            self._waited = True
        return self._todo.get()

    def _try_start(self, start: Callable[[], DecodeWorker]) -> DecodeWorker | None:
        try:
            return start()
        except OSError:  # no process can be started (a limit, an emulator): threads give the same results, only later
            self._start = None
            return None

    def _work(self) -> None:
        child: DecodeWorker | None = None
        try:
            while not isinstance(task := self._next_task(), _End) and not self._stopped.is_set():
                item, future = task
                try:
                    if child is None and self._start is not None and self._processes_pay:
                        child = self._try_start(self._start)
                    future.set_result(self._decode(item, child if isinstance(item, str | os.PathLike) else None))
                except BaseException as error:  # noqa: BLE001  # as above
                    future.set_exception(error)
                self._count()
        finally:
            if child is not None:
                child.close()
