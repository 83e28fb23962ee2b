"""LoadGen's System Under Test over an engine: classifies the samples of queries at once, or from a queue in batches.

Nothing is ever raised into LoadGen: its C++ frames end the process with a signal. What goes wrong goes to `fail`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_fm.mlperf.samples import SampleLibrary
from edge_fm_runtime.arrays import Pixels
from edge_fm_runtime.engines import Engine

Fail: TypeAlias = Callable[[BaseException], NoReturn]


class System:
    """An engine that classifies samples by number.

    Args:
        loadgen: the module.
        engine: any.
        samples: where the images come from.
        fail: called with what went wrong, ends the process.
    """

    def __init__(self, loadgen: Any, engine: Engine, samples: SampleLibrary, *, fail: Fail) -> None:
        self._loadgen, self._engine, self._samples, self.fail = loadgen, engine, samples, fail

    def respond(self, ids: Sequence[int], images: Pixels) -> tuple[npt.NDArray[np.int32], list[Any]]:
        """The classes of images, and LoadGen's responses, which point at them."""
        classes: npt.NDArray[np.int32] = self._engine.predict_all(images).argmax(axis=1).astype("<i4")
        address, response = classes.ctypes.data, self._loadgen.QuerySampleResponse
        return classes, [response(q, address + 4 * i, 4) for i, q in enumerate(ids)]

    def classify(self, ids: Sequence[int], indices: Sequence[int]) -> None:
        """Classify samples and complete their queries; each response is the class as a little-endian int32."""
        classes, responses = self.respond(ids, self._samples.get(indices))
        self._loadgen.QuerySamplesComplete(responses)
        del classes  # the responses point into it


class InlineIssuer:
    """Classifies the samples of a query in the thread that issues it, at most `batch` at once: streams and offline."""

    def __init__(self, system: System, batch: int) -> None:
        self._system, self._batch = system, batch

    def issue(self, ids: Sequence[int], indices: Sequence[int]) -> None:
        """Classify the samples of one query."""
        try:
            for start in range(0, len(ids), self._batch):
                self._system.classify(ids[start : start + self._batch], indices[start : start + self._batch])
        except BaseException as error:  # noqa: BLE001
            self._system.fail(error)

    def close(self) -> None:
        """Nothing is running."""


class QueueIssuer:
    """Puts samples in a queue; a thread takes as many as wait there, up to `batch`, without waiting for more.

    It takes powers of two, so that an engine that plans for each batch size anew meets few of them.
    """

    def __init__(self, system: System, batch: int) -> None:
        self._system, self._batch = system, batch
        self._queue: SimpleQueue[tuple[int, int] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name="loadgen-sut", daemon=True)
        self._thread.start()

    def issue(self, ids: Sequence[int], indices: Sequence[int]) -> None:
        """Take one query in; returns at once."""
        for pair in zip(ids, indices, strict=True):
            self._queue.put(pair)

    def close(self) -> None:
        """End the thread when the queue is empty."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        try:
            waiting: list[tuple[int, int]] = []
            while True:
                if not waiting:
                    first = self._queue.get()
                    if first is None:
                        return
                    waiting.append(first)
                self._drain(waiting)
                size = 1 << (len(waiting).bit_length() - 1)
                now, waiting = waiting[:size], waiting[size:]
                self._system.classify([q for q, _ in now], [i for _, i in now])
        except BaseException as error:  # noqa: BLE001
            self._system.fail(error)

    def _drain(self, waiting: list[tuple[int, int]]) -> None:
        while len(waiting) < self._batch:
            try:
                item = self._queue.get_nowait()
            except Empty:
                return
            if item is None:
                self._queue.put(None)  # close() comes after the last query, so nothing is behind it
                return
            waiting.append(item)
