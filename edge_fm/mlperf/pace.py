"""How fast an engine is, roughly: what a LoadGen run must know beforehand, and a rate that a server can hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from edge_fm.mlperf.sut import System
from edge_fm_runtime.arrays import Pixels

MAX_BATCH = 256
_TRIAL_S = 0.1
_TRIAL_CALLS = 3
_TOO_SLOW_S = 2.0
_MARGIN = 0.85
"""Of the highest rate that held in a trial: what one second holds, a longer run may not."""
_TRIALS = 6


@dataclass(frozen=True)
class Pace:
    """Seconds of a batch, the quickest and the usual, by batch size.

    Attributes:
        least_s: batch size -> the quickest of a few calls.
        usual_s: batch size -> their median.
    """

    least_s: dict[int, float]
    usual_s: dict[int, float]

    @property
    def best_batch(self) -> int:
        """The batch size that classifies most images a second."""
        return max(self.usual_s, key=lambda b: b / self.usual_s[b])

    @property
    def peak_ips(self) -> float:
        """Images a second that were not exceeded."""
        return max(b / s for b, s in self.least_s.items())

    def server_batch(self, target_s: float) -> int:
        """The largest batch that still leaves two thirds of the latency bound for waiting."""
        return max((b for b, s in self.usual_s.items() if s <= target_s / 3), default=1)


def measure_pace(system: System, images: Pixels, *, only: int | None = None) -> Pace:
    """Time batches of 1, 2, 4 to 256, a tenth of a second each, until one takes more than two seconds.

    Args:
        system: what classifies.
        images: uint8 `[n,H,W,C]`, repeated to fill a batch.
        only: beside 1, the only size to try.
    """
    sizes = [1 << i for i in range(MAX_BATCH.bit_length())] if only is None else sorted({1, only})
    least, usual = {}, {}
    for size in sizes:
        batch = np.ascontiguousarray(np.resize(images, (size, *images.shape[1:])))
        ids = range(size)
        system.respond(ids, batch)  # some engines compile for a batch size when they first meet it
        taken: list[float] = []
        while len(taken) < _TRIAL_CALLS or sum(taken) < _TRIAL_S:
            start = perf_counter()
            system.respond(ids, batch)
            taken.append(perf_counter() - start)
        least[size], usual[size] = min(taken), float(np.median(taken))
        if usual[size] > _TOO_SLOW_S:
            break
    return Pace(least, usual)


def find_rate(holds: Callable[[float], bool], peak: float) -> float | None:
    """Search for the highest rate that holds, by halving on a logarithmic scale; a margin is taken off.

    Args:
        holds: whether the latency bound holds at a rate, in queries a second.
        peak: a rate that cannot be exceeded.

    Returns:
        a rate, or None if none of those tried held.

    Example:
        >>> round(find_rate(lambda rate: rate <= 100, 1000.0))
        80
    """
    low, high, rate = None, peak, 0.5 * peak
    for _ in range(_TRIALS):
        if holds(rate):
            low = rate
        else:
            high = rate
        if low is not None and high / low < 1.15:
            break
        rate = math.sqrt(low * high) if low is not None else 0.5 * high
    return None if low is None else _MARGIN * low
