"""Two-sample tests: p-values for the hypothesis that two samples are of one distribution, and Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.floating[Any]]
Cells = npt.NDArray[np.integer[Any]]
Counts = npt.NDArray[np.int64]

PERMUTATIONS = 1999
"""The least p-value of a permutation test is then 1/2000."""
_SEED = 0
_CHUNK = 1 << 22
"""Counts that are made at once: 32 MiB."""


def anderson_darling(reference: Values, now: Values) -> float:
    """The p-value of the two-sample Anderson-Darling test, which sees other means, spreads and tails.

    The statistic is that of Scholz and Stephens (K-Sample Anderson-Darling Tests, 1987, equation 6: with ties) for two
    samples, brought to the mean and the variance of its limit; the limit's distribution is that of Marsaglia and
    Marsaglia (Evaluating the Anderson-Darling Distribution, 2004).

    Args:
        reference: `[M]`, at least 2.
        now: `[N]`, at least 2.

    Example:
        >>> values = np.arange(100.0)
        >>> anderson_darling(values, values) > 0.99
        True
        >>> anderson_darling(values, values + 50) < 1e-6
        True
    """
    m, n = len(reference), len(now)
    total = m + n
    points, place = np.unique(np.concatenate([reference, now]), return_inverse=True)
    if len(points) < 2:
        return 1.0
    each = np.bincount(place)
    until = np.cumsum(each)[:-1].astype(np.float64)
    drawn_size = min(m, n)  # both samples give the same statistic
    weight = each[:-1] / (until * (total - until) * m * n)

    def statistics(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        drawn = np.cumsum(counts, axis=1)[:, :-1] * float(total)
        return np.asarray(np.square(drawn - drawn_size * until) @ weight)

    ours = place[-drawn_size:] if drawn_size == n else place[:drawn_size]
    seen = statistics(np.bincount(ours, minlength=len(points))[None])[0]
    if each.max() > _MOST_TIED * total:
        return _permuted(seen, place[:, None], drawn_size, len(points), statistics)
    spread = math.sqrt(_variance(m, n) / _LIMIT_VARIANCE)
    return _beyond(1.0 + (float(seen) - 1.0) / spread)


_MOST_TIED = 0.02
"""Where one value has a greater share, as that of no highlights may, ties change the limit: permuted instead."""


_LIMIT_VARIANCE = 2 * (math.pi**2 - 9) / 3
"""Of the statistic of two large samples; its mean is 1 for samples of all sizes."""


def _variance(m: int, n: int) -> float:
    """Of the statistic under the hypothesis (Scholz and Stephens 1987, equation 4, for two samples without ties)."""
    total = m + n
    numbers = np.arange(1, total, dtype=np.float64)
    inverse = 1.0 / numbers
    h = float(inverse.sum())
    # sum over i < j of 1 / ((N - i) j), i from 1 to N - 2
    after = h - np.cumsum(inverse)
    g = float((after[:-1] / (total - numbers[:-1])).sum())
    by_size = 1.0 / m + 1.0 / n
    a = (4 * g - 6) + (10 - 6 * g) * by_size
    b = (2 * g - 4) * 4 + 16 * h + (2 * g - 14 * h - 4) * by_size - 8 * h + 4 * g - 6
    c = (6 * h + 2 * g - 2) * 4 + (4 * h - 4 * g + 6) * 2 + (2 * h - 6) * by_size + 4 * h
    d = (2 * h + 6) * 4 - 4 * h * 2
    size = float(total)
    return (a * size**3 + b * size**2 + c * size + d) / ((size - 1) * (size - 2) * (size - 3))


def _beyond(z: float) -> float:
    """The chance of a greater Anderson-Darling statistic (Marsaglia and Marsaglia 2004, function adinf)."""
    if z <= 0.01:
        return 1.0
    if z < 2.0:
        series = 2.00012 + (0.247105 - (0.0649821 - (0.0347962 - (0.011672 - 0.00168691 * z) * z) * z) * z) * z
        return 1.0 - math.exp(-1.2337141 / z) / math.sqrt(z) * series
    if z > 10.0:  # beyond what the polynomial was fitted on the tail falls as exp(-z)
        return _beyond(10.0) * math.exp(10.0 - z)
    power = 1.0776 - (2.30695 - (0.43424 - (0.082433 - (0.008056 - 0.0003146 * z) * z) * z) * z) * z
    return -math.expm1(-math.exp(power))


def class_test(reference: Counts, now: Counts) -> float:
    """The p-value of the likelihood-ratio test (G-test) of homogeneity of two samples of classes, by permutation.

    The likelihood ratio sees a class that is missing better than Pearson's chi-square does.

    Args:
        reference: int64 `[classes]`, how often each class occurs.
        now: likewise.

    Example:
        >>> class_test(np.full(10, 100), np.full(10, 30))
        1.0
        >>> class_test(np.full(10, 100), np.array([0, *[30] * 9]))
        0.0005
    """
    total = reference + now
    sizes = (int(reference.sum()), int(now.sum()))
    drawn_size = min(sizes)
    shares = total / total.sum()

    def statistics(counts: Counts) -> npt.NDArray[np.float64]:
        return _likelihood_ratio(counts, drawn_size * shares) + _likelihood_ratio(
            total - counts, (int(total.sum()) - drawn_size) * shares
        )

    seen = statistics((now if drawn_size == sizes[1] else reference)[None])[0]
    return _permuted(seen, np.repeat(np.arange(len(total)), total)[:, None], drawn_size, len(total), statistics)


def _likelihood_ratio(counts: Counts, expected: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Sum of count times logarithm of count over expected count, `[rows]`; a count of 0 adds nothing."""
    ratio = np.divide(counts, expected, out=np.ones(counts.shape), where=counts > 0)
    return np.asarray((counts * np.log(ratio)).sum(axis=1))


def cell_test(reference: Cells, now: Cells, cells: int) -> float:
    """The p-value of a chi-square test of homogeneity over one partition or several, by permutation.

    Pearson's statistic of each partition is added up, and compared with that of `PERMUTATIONS` random divisions of
    both samples together into two of the same sizes. So the p-value is right however few are in a cell, and however
    the partitions depend on each other (Phipson and Smyth 2010: never 0).

    Args:
        reference: `[M,partitions]`, the cell of each image in each partition.
        now: `[N,partitions]`, likewise.
        cells: of a partition: each number is below this.

    Example:
        >>> cells = np.arange(300)[:, None] % 10
        >>> cell_test(cells, cells, 10)
        1.0
        >>> cell_test(cells, cells // 2, 10)
        0.0005
    """
    partitions = reference.shape[1]
    every = np.concatenate([reference, now]).astype(np.int64) + np.arange(partitions) * cells
    width = partitions * cells
    total = np.bincount(every.ravel(), minlength=width)
    drawn_size = min(len(reference), len(now))  # the statistic of one sample decides that of both
    expected = total * (drawn_size / len(every))
    weight = np.divide(1.0, expected, out=np.zeros(width), where=total > 0)

    def statistics(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        return np.asarray(np.square(counts - expected) @ weight)

    ours = every[-drawn_size:] if drawn_size == len(now) else every[:drawn_size]
    seen = statistics(np.bincount(ours.ravel(), minlength=width)[None])[0]
    return _permuted(seen, every, drawn_size, width, statistics)


def _permuted(
    seen: float,
    every: npt.NDArray[np.int64],
    size: int,
    width: int,
    statistics: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float64]],
) -> float:
    """The share of random divisions whose statistic is at least `seen`.

    Args:
        seen: the statistic of the two samples.
        every: `[M+N,k]`, the numbers of each image, each below `width`.
        size: of one of the samples.
        width: how many numbers there are.
        statistics: from `[rows,width]`, how often each number occurs in a sample of that size.
    """
    divisions = _divisions(len(every), size)
    step = max(1, _CHUNK // max(size * every.shape[1], width))
    as_far = 0
    for start in range(0, len(divisions), step):
        drawn = every[divisions[start : start + step]]
        rows = len(drawn)
        flat = drawn.reshape(rows, -1) + np.arange(rows)[:, None] * width
        counts = np.bincount(flat.ravel(), minlength=rows * width).reshape(rows, width)
        as_far += int((statistics(counts) >= seen * (1 - 1e-9)).sum())
    return (1 + as_far) / (1 + len(divisions))


@lru_cache(maxsize=2)
def _divisions(total: int, size: int) -> npt.NDArray[np.int64]:
    """Random choices of `size` among `total`, the same at every call: `[PERMUTATIONS,size]`."""
    random = np.random.default_rng(_SEED)
    return np.stack([random.choice(total, size, replace=False, shuffle=False) for _ in range(PERMUTATIONS)])


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """P-values adjusted for their number (Holm 1979): at most `alpha` of all families have one below `alpha` by chance.

    Example:
        >>> holm([0.01, 0.5, 0.04])
        (0.03, 0.5, 0.08)
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(order), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[place]))
        adjusted[place] = largest
    return tuple(adjusted)
