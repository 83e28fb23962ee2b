"""Time calls so that the figures can be trusted: interleaved, warmed up, no garbage collection, nothing removed.

The rules are those of MLPerf Inference where they fit one process: a minimum duration, a monotonic clock,
every sample counted.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter_ns

import numpy as np
import numpy.typing as npt

_BLOCK_NS = 40_000_000
_WARM_UP_NS = 5_000_000
_PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0}
_TAIL_SAMPLES = 10
"""A percentile is given only if at least this many samples lie above it."""


@dataclass(frozen=True, eq=False)
class Latency:
    """The samples of one case, in the order in which they were taken.

    Attributes:
        samples_ms: float64 `[n]`, milliseconds a call.
    """

    samples_ms: npt.NDArray[np.float64]

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.samples_ms)

    @property
    def mean_ms(self) -> float:
        """Mean, milliseconds."""
        return float(self.samples_ms.mean())

    def percentile_ms(self, name: str) -> float | None:
        """The percentile "p50", "p90", "p95" or "p99", or None where too few samples lie above it."""
        q = _PERCENTILES[name]
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
    on_round: Callable[[int, int], None] | None = None,
) -> dict[str, Latency]:
    """Time every case in turn, in short blocks, until each has had `duration_s` seconds and `min_samples` calls.

    Each block starts with a few calls that are not counted, so that no case pays for its predecessor's threads
    and caches; the order turns from round to round.

    Args:
        cases: name -> a call without arguments.
        duration_s: seconds of counted time for each case.
        min_samples: least number of counted calls for each case.
        on_round: told the seconds done and to do, in milliseconds, after each round.

    Returns:
        name -> its samples.

    Example:
        >>> sorted(measure({"nothing": lambda: None}, duration_s=0.01))
        ['nothing']
    """
    samples: dict[str, list[int]] = {name: [] for name in cases}
    spent = dict.fromkeys(cases, 0)
    budget = int(duration_s * 1e9)
    names = list(cases)
    for name in names:
        cases[name]()  # the first inference allocates; it is measured elsewhere
    was_enabled = gc.isenabled()
    try:
        while open_names := [n for n in names if spent[n] < budget or len(samples[n]) < min_samples]:
            for name in open_names:
                gc.collect()
                gc.disable()
                spent[name] += _block(cases[name], samples[name], min(_BLOCK_NS, budget))
                if was_enabled:
                    gc.enable()
            names = names[1:] + names[:1]
            if on_round is not None:
                on_round(sum(min(s, budget) for s in spent.values()) // 1_000_000, budget * len(cases) // 1_000_000)
    finally:
        if was_enabled:
            gc.enable()
    return {name: Latency(np.array(samples[name], dtype=np.float64) / 1e6) for name in cases}


def _block(call: Callable[[], object], samples: list[int], budget_ns: int) -> int:
    warm_until = perf_counter_ns() + min(_WARM_UP_NS, budget_ns)
    while True:
        call()
        if perf_counter_ns() >= warm_until:
            break
    spent = 0
    while spent < budget_ns:
        start = perf_counter_ns()
        call()
        took = perf_counter_ns() - start
        samples.append(took)
        spent += took
    return spent
