"""What a count among n samples says of the rate behind it: exact binomial intervals."""

from __future__ import annotations

import math

import numpy as np

_TAIL = 0.025
"""Each side of a 95% interval."""
_STEPS = 60
"""Bisections of [0, 1]: more would be lost in a double."""


def exact_interval(hits: int, n: int, *, tail: float = _TAIL) -> tuple[float, float]:
    """The 95% interval of a rate of which `hits` of `n` samples were seen (Clopper and Pearson 1934).

    Exact: it misses the true rate in at most 5% of all samples, 2.5% on either side, however small n is.

    Args:
        hits: 0 to n.
        n: at least 1.
        tail: the chance of missing on either side; smaller where several rates are looked at together.

    Example:
        >>> low, high = exact_interval(80, 81)
        >>> round(low, 4), round(high, 4)
        (0.9331, 0.9997)
    """
    low = 0.0 if hits == 0 else 1.0 - _upper_end(n - hits, n, tail)
    high = 1.0 if hits == n else _upper_end(hits, n, tail)
    return low, high


def most_allowed(n: int, rate: float) -> int:
    """The most events among `n` samples that do not yet show that they happen more often than at `rate`.

    One more would happen in less than 2.5% of all samples if the rate were kept: the near end of its exact interval
    lies beyond `rate`.

    Example:
        >>> [most_allowed(n, 0.001) for n in (40, 81, 300, 10_000)]
        [1, 1, 2, 17]
    """
    if rate >= 1.0:
        return n
    if rate <= 0.0:
        return 0
    at_most, allowed = _chance(n, 0, rate), 0
    while allowed < n and 1.0 - at_most > _TAIL:
        allowed += 1
        at_most += _chance(n, allowed, rate)
    return allowed


def _upper_end(hits: int, n: int, tail: float) -> float:
    """The rate at which `hits` or fewer of `n` have a chance of `tail`; `hits` is below n."""
    # Summed over the shorter side.
    few = 2 * hits <= n
    counts = np.arange(hits + 1) if few else np.arange(hits + 1, n + 1)
    ways = np.array([_log_ways(n, int(k)) for k in counts])
    low, high = hits / n, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle >= 1.0:
            break
        logs = ways + counts * math.log(middle) + (n - counts) * math.log1p(-middle)
        side = float(np.exp(logs).sum())
        at_most = side if few else 1.0 - side
        low, high = (middle, high) if at_most > tail else (low, middle)
    return high


def _log_ways(n: int, k: int) -> float:
    """The logarithm of how many ways there are to choose `k` of `n`."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _chance(n: int, k: int, rate: float) -> float:
    """The chance of exactly `k` of `n`; `rate` is above 0 and below 1."""
    return math.exp(_log_ways(n, k) + k * math.log(rate) + (n - k) * math.log1p(-rate))
