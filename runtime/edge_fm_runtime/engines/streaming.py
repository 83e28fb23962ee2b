"""Several batches at once on threads: for throughput, where nobody waits for a single result."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from edge_fm_runtime.arrays import Pixels, Probabilities


def infer_on_threads(
    infer: Callable[[Pixels], Probabilities], batches: Iterable[Pixels], streams: int
) -> Iterator[Probabilities]:
    """Call `infer` on batches from `streams` threads, and yield the results in order; see `Engine.infer_many`."""
    at_work: deque[Future[Probabilities]] = deque()
    with ThreadPoolExecutor(streams) as pool:
        try:
            for batch in batches:
                if len(at_work) == 2 * streams:
                    yield at_work.popleft().result()
                at_work.append(pool.submit(infer, batch))
            while at_work:
                yield at_work.popleft().result()
        finally:
            for future in at_work:
                future.cancel()
