"""Time calls so that the figures can be trusted: interleaved, warm, no garbage collection, nothing removed.

The rules are those of MLPerf Inference where they fit one process: a minimum duration and a minimum number of samples,
a monotonic clock, every sample counted, a percentile only where the samples support it.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter, perf_counter_ns, process_time, sleep

import numpy as np
import numpy.typing as npt

MIN_SAMPLES = 64
"""The least number of samples for which MLPerf Inference's early stopping gives a 90th percentile."""
_ROUND_NS = 40_000_000
_MIN_ROUNDS = 20
_BLOCK_WARM_UP_NS = 5_000_000
_REST_S, _MAX_REST_S = 0.002, 0.25
_WINDOW_NS, _WINDOW_CALLS = 10_000_000, 3
_STEADY = 1.05
_TAIL_SAMPLES = 10
"""A percentile is given only if at least this many samples lie above it."""

PERCENTILES: Mapping[str, float] = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99_9": 99.9}
"""Name -> percent, of the percentiles that reports give."""


@dataclass(frozen=True, eq=False)
class Latency:
    """The samples of one case, in the order in which they were taken.

    Attributes:
        samples_ms: float64 `[n]`, milliseconds a call.
        rounds: int64 `[n]`, the round in which each was taken; rounds of one `measure` are comparable between cases.
        warm_up_calls: calls before the first round.
        steady: whether the warm-up ended because the calls had become steady, and not because it took too long.
    """

    samples_ms: npt.NDArray[np.float64]
    rounds: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    warm_up_calls: int = 0
    steady: bool = True

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.samples_ms)

    @property
    def counted_s(self) -> float:
        """Seconds of all samples together."""
        return float(self.samples_ms.sum()) / 1000.0

    @property
    def mean_ms(self) -> float:
        """Mean, milliseconds."""
        return float(self.samples_ms.mean())

    def percentile_ms(self, name: str) -> float | None:
        """A percentile of `PERCENTILES`, or None where too few samples lie above it."""
        q = PERCENTILES[name]
        if name != "p50" and self.n * (100.0 - q) / 100.0 < _TAIL_SAMPLES:
            return None
        return float(np.percentile(self.samples_ms, q))

    @property
    def p50_ms(self) -> float:
        """Median, milliseconds."""
        return float(np.median(self.samples_ms))


def measure(
    cases: Mapping[str, Callable[[], object]],
    *,
    duration_s: float = 1.0,
    min_samples: int = 20,
    max_warm_up_s: float | None = None,
    on_round: Callable[[int, int], None] | None = None,
) -> dict[str, Latency]:
    """Time every case in each of many short rounds, so that each has `duration_s` seconds and `min_samples` calls.

    Before the first round each case is called until it is steady: the medians of three windows in a row (each of at
    least 3 calls and 10 ms) lie within 5% of each other, or `max_warm_up_s` has passed. In each round every case runs
    one block; the order turns from round to round. So that no case pays for its predecessor's threads and caches, a
    block begins when this process has come to rest (ONNX Runtime's threads spin for up to a tenth of a second after
    their last work), and with a few calls that are not counted.

    Args:
        cases: name -> a call without arguments.
        duration_s: seconds of counted time for each case.
        min_samples: least number of counted calls for each case.
        max_warm_up_s: most seconds of warm-up for each case; None for a quarter of `duration_s`.
        on_round: called with the rounds done and to do, before the first and after each.

    Returns:
        name -> its samples.

    Example:
        >>> sorted(measure({"nothing": lambda: None}, duration_s=0.01))
        ['nothing']
    """
    names = list(cases)
    budget = int(duration_s * 1e9)
    most_ns = int(1e9 * (duration_s / 4 if max_warm_up_s is None else max_warm_up_s))
    samples: dict[str, list[int]] = {name: [] for name in names}
    ends: dict[str, list[int]] = {name: [] for name in names}
    with collector_at_rest():
        warm_ups = {name: _warm_up(cases[name], most_ns) for name in names}
        slowest_ns = max((w.last_ns for w in warm_ups.values()), default=1)
        rounds = max(_MIN_ROUNDS, min(budget // _ROUND_NS, budget // max(1, slowest_ns)))
        block_ns, block_calls = budget // rounds, math.ceil(min_samples / rounds)
        for name in turns(names, rounds, on_round):
            _block(cases[name], samples[name], block_ns, block_calls)
            ends[name].append(len(samples[name]))
    return {
        name: Latency(
            np.array(samples[name], dtype=np.float64) / 1e6,
            np.repeat(np.arange(rounds), np.diff(ends[name], prepend=0)),
            warm_ups[name].calls,
            warm_ups[name].steady,
        )
        for name in cases
    }


def turns(names: Sequence[str], rounds: int, on_round: Callable[[int, int], None] | None = None) -> Iterator[str]:
    """Give each name once a round, when nothing of the one before is left: no garbage, no thread that still computes.

    Args:
        names: their order turns from round to round.
        rounds: how many.
        on_round: called with the rounds done and to do, before the first and after each.
    """
    for number in range(rounds):
        if on_round is not None:
            on_round(number, rounds)
        first = number % max(1, len(names))
        for name in (*names[first:], *names[:first]):
            gc.collect()
            if len(names) > 1:
                rest()
            yield name
    if on_round is not None:
        on_round(rounds, rounds)


def rest() -> None:
    """Wait until no thread of this process computes any more, a quarter of a second at most."""
    until = perf_counter() + _MAX_REST_S
    while perf_counter() < until:
        before = process_time()
        sleep(_REST_S)
        if process_time() - before < _REST_S / 4:
            return


_at_rest = False


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Keep the garbage collector off, and what lives already out of the collections that are asked for.

    With TensorFlow loaded a full collection takes a second; of what was made since, next to nothing. What the process
    had frozen before takes part in its collections again afterwards: only all of it can be given back at once.
    """
    global _at_rest  # noqa: PLW0603 - the collector too is one for the process
    if _at_rest:
        yield
        return
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    gc.freeze()
    _at_rest = True
    try:
        yield
    finally:
        _at_rest = False
        gc.unfreeze()
        if was_enabled:
            gc.enable()


@dataclass(frozen=True)
class _WarmUp:
    calls: int
    steady: bool
    last_ns: int


def _warm_up(call: Callable[[], object], most_ns: int) -> _WarmUp:
    """Call until steady, see `measure`."""
    started = perf_counter_ns()
    medians: list[float] = []
    calls = 0
    while True:
        window: list[int] = []
        opened = perf_counter_ns()
        while len(window) < _WINDOW_CALLS or perf_counter_ns() - opened < _WINDOW_NS:
            start = perf_counter_ns()
            call()
            window.append(perf_counter_ns() - start)
        calls += len(window)
        medians.append(float(np.median(window)))
        last = medians[-3:]
        steady = len(last) == 3 and max(last) <= _STEADY * min(last)
        if steady or perf_counter_ns() - started > most_ns:
            return _WarmUp(calls, steady, int(medians[-1]))


def _block(call: Callable[[], object], samples: list[int], budget_ns: int, least: int) -> None:
    warm_until = perf_counter_ns() + min(_BLOCK_WARM_UP_NS, budget_ns)
    while True:
        call()
        if perf_counter_ns() >= warm_until:
            break
    spent, enough = 0, len(samples) + least
    while spent < budget_ns or len(samples) < enough:
        start = perf_counter_ns()
        call()
        took = perf_counter_ns() - start
        samples.append(took)
        spent += took
