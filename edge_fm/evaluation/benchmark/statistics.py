"""What can be concluded from samples of time: intervals by bootstrap over rounds, and whether a figure is VALID.

Samples that are taken one after another are not independent: a busy moment of the machine slows them all. So whole
rounds are drawn, not samples: a block bootstrap (Künsch 1989, "The Jackknife and the Bootstrap for General Stationary
Observations"), with a round of `latency.measure` as the block. A ratio draws the same rounds of both cases, because
they were interleaved and share what happened to the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.measurement.latency import MIN_SAMPLES, Latency

_RESAMPLES = 1000
_POINTS_A_ROUND = 200
"""A round of more samples is stood for by this many of its quantiles, each counting for more than one."""


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95% interval.

    Attributes:
        value: as measured.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of the interval as a share of the value."""
        return (self.high - self.low) / 2 / self.value if self.value else 0.0

    def to_json(self) -> list[float]:
        """The interval alone: `[low, high]`."""
        return [self.low, self.high]


@dataclass(frozen=True)
class Rules:
    """What a figure must keep to be VALID.

    Attributes:
        min_duration_s: least seconds of counted time.
        min_samples: least number of samples, as MLPerf Inference's least query count.
        max_drift: how much the medians of the first and of the second half of the rounds may differ, as a share.
        max_half_width: largest half width of the median's 95% interval, as a share of the median.
    """

    min_duration_s: float = 1.0
    min_samples: int = MIN_SAMPLES
    max_drift: float = 0.10
    max_half_width: float = 0.05


@dataclass(frozen=True)
class Verdict:
    """VALID, or INVALID and why.

    Example:
        >>> str(Verdict(())), str(Verdict(("too short: 3 samples",)))
        ('VALID', 'INVALID (too short: 3 samples)')
    """

    reasons: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether nothing speaks against the figure."""
        return not self.reasons

    def sentence(self) -> str:
        """A message of one line.

        Example:
            >>> Verdict(("too short: 3 samples",)).sentence()
            'INVALID: too short: 3 samples'
            >>> Verdict(("too short: 3 samples", "unstable")).sentence()
            'INVALID: 2 reasons, the first: too short: 3 samples'
        """
        if self.valid:
            return "VALID"
        several = "" if len(self.reasons) == 1 else f"{len(self.reasons)} reasons, the first: "
        return f"INVALID: {several}{self.reasons[0]}"

    def __str__(self) -> str:
        return "VALID" if self.valid else f"INVALID ({'; '.join(self.reasons)})"

    def to_json(self) -> dict[str, object]:
        """`{"verdict": "VALID" | "INVALID", "reasons": [...]}`."""
        return {"verdict": "VALID" if self.valid else "INVALID", "reasons": list(self.reasons)}


def median_estimate(latency: Latency, *, resamples: int = _RESAMPLES, seed: int = 0) -> Estimate:
    """The median in milliseconds, with its interval."""
    draws = _draws(_rounds_of(latency), resamples, seed)
    medians = _resampled_medians(latency, draws)
    low, high = np.percentile(medians, [2.5, 97.5])
    return Estimate(latency.p50_ms, float(low), float(high))


def median_ratio(over: Latency, under: Latency, *, resamples: int = _RESAMPLES, seed: int = 0) -> Estimate:
    """The ratio of two medians with its interval; both cases must come from one `latency.measure`.

    Args:
        over: the case above the fraction bar.
        under: the case below it.
        resamples: how often the rounds are drawn.
        seed: of the draws.

    Raises:
        ValueError: the cases have different rounds, so they were not interleaved.

    Example:
        >>> samples, rounds = np.array([2.0, 2.0, 4.0, 4.0]), np.array([0, 0, 1, 1])
        >>> median_ratio(Latency(3 * samples, rounds), Latency(samples, rounds))
        Estimate(value=3.0, low=3.0, high=3.0)
    """
    rounds = _rounds_of(over)
    if rounds != _rounds_of(under):
        raise ValueError(f"Cases of {rounds} and {_rounds_of(under)} rounds were not interleaved.")
    draws = _draws(rounds, resamples, seed)
    ratios = _resampled_medians(over, draws) / _resampled_medians(under, draws)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return Estimate(over.p50_ms / under.p50_ms, float(low), float(high))


def rate_estimate(rates: Sequence[float], *, resamples: int = _RESAMPLES, seed: int = 0) -> Estimate:
    """The median of one rate for each round, with its interval.

    Example:
        >>> rate_estimate([100.0, 100.0, 100.0])
        Estimate(value=100.0, low=100.0, high=100.0)
    """
    values = np.asarray(rates, np.float64)
    drawn = np.random.default_rng(seed).integers(0, len(values), (resamples, len(values)))
    low, high = np.percentile(np.median(values[drawn], axis=1), [2.5, 97.5])
    return Estimate(float(np.median(values)), float(low), float(high))


def drift(latency: Latency) -> float:
    """How much slower the second half of the rounds was than the first, by the medians, as a share of the faster."""
    rounds = _rounds_of(latency)
    late = latency.rounds >= (rounds + 1) // 2
    if late.all() or not late.any():
        return 0.0
    first, second = (float(np.median(latency.samples_ms[half])) for half in (~late, late))
    return (second - first) / min(first, second)


def check_latency(latency: Latency, rules: Rules | None = None) -> Verdict:
    """Check the samples of one case by themselves; `conditions` checks what the machine did meanwhile."""
    rules = rules or Rules()
    reasons = []
    # The clock's grain may leave the last block a little short.
    if latency.counted_s < 0.99 * rules.min_duration_s:
        reasons.append(f"too short: {latency.counted_s:.2f} s counted, at least {rules.min_duration_s:g} s are needed")
    if latency.n < rules.min_samples:
        reasons.append(f"too short: {latency.n} samples, at least {rules.min_samples} are needed")
    if abs(moved := drift(latency)) > rules.max_drift:
        way = "slower" if moved > 0 else "faster"
        reasons.append(f"unstable: {100 * abs(moved):.0f}% {way} in the second half of the rounds than in the first")
    elif (width := median_estimate(latency).half_width) > rules.max_half_width:
        reasons.append(f"unstable: the median is known to {100 * width:.0f}% only")
    return Verdict(tuple(reasons))


def combine_verdicts(verdicts: Sequence[tuple[str, Verdict]]) -> Verdict:
    """One verdict of many; each reason begins with its name where it has one."""
    return Verdict(tuple(f"{name}: {r}" if name else r for name, v in verdicts for r in v.reasons))


def _rounds_of(latency: Latency) -> int:
    return int(latency.rounds.max()) + 1 if len(latency.rounds) else 1


def _draws(rounds: int, resamples: int, seed: int) -> npt.NDArray[np.int64]:
    """How often each round is drawn: `[resamples, rounds]`."""
    return np.random.default_rng(seed).multinomial(rounds, np.full(rounds, 1.0 / rounds), size=resamples)


def _resampled_medians(latency: Latency, draws: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The median of each draw of whole rounds, as a weighted median of all samples (or of their rounds' quantiles)."""
    rounds = latency.rounds if len(latency.rounds) else np.zeros(latency.n, np.int64)
    values, weights, owners = [], [], []
    for number in range(draws.shape[1]):
        taken = latency.samples_ms[rounds == number]
        points = taken
        if len(taken) > _POINTS_A_ROUND:
            points = np.quantile(taken, (np.arange(_POINTS_A_ROUND) + 0.5) / _POINTS_A_ROUND)
        values.append(points)
        weights.append(np.full(len(points), len(taken) / max(1, len(points))))
        owners.append(np.full(len(points), number))
    value, weight, owner = np.concatenate(values), np.concatenate(weights), np.concatenate(owners)
    order = np.argsort(value, kind="stable")
    value, weight, owner = value[order], weight[order], owner[order]
    medians = np.empty(len(draws))
    for i, drawn in enumerate(draws):
        below = np.cumsum(weight * drawn[owner])
        medians[i] = value[np.searchsorted(below, below[-1] / 2)]
    return medians
