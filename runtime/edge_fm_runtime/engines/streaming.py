"""Many batches through one engine, several at once: for throughput, where nobody waits for a single answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.engines import Engine


def streams_of(engine: Engine) -> int:
    """How many batches an engine works on at once; 1 unless it was made with `EngineOptions(hint="throughput")`."""
    return int(getattr(engine, "streams", 1))


def infer_many(engine: Engine, batches: Iterable[Pixels]) -> Iterator[Probabilities]:
    """Answer batches in their order, with as many at work as the engine serves best.

    Batches are drawn as there is room for them, a few ahead of the answers. An engine with an `infer_many` of its own
    (OpenVINO's request queue) uses that one and takes batches of one size; others are called from several threads.

    Args:
        engine: made with `EngineOptions(hint="throughput")`; others answer one batch after another.
        batches: uint8 `[N,H,W,C]` each.

    Yields:
        float32 `[N,classes]` for each batch.

    Example:
        >>> from edge_fm_runtime.engines import EngineOptions, create_engine
        >>> engine = create_engine(artifact, options=EngineOptions(hint="throughput"))  # doctest: +SKIP
        >>> for probabilities in infer_many(engine, batches):  # doctest: +SKIP
        ...     print(probabilities.argmax(axis=1))
    """
    own = getattr(engine, "infer_many", None)
    streams = streams_of(engine)
    if own is not None:
        yield from own(batches)
        return
    if streams == 1:
        yield from map(engine.infer, batches)
        return
    at_work: deque[Future[Probabilities]] = deque()
    with ThreadPoolExecutor(streams) as pool:
        try:
            for batch in batches:
                if len(at_work) == 2 * streams:
                    yield at_work.popleft().result()
                at_work.append(pool.submit(engine.infer, batch))
            while at_work:
                yield at_work.popleft().result()
        finally:
            for future in at_work:
                future.cancel()
