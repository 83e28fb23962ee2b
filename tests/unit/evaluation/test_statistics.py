"""Intervals hold the truth as often as they say, also where samples of one round go together; verdicts say why."""

from __future__ import annotations

import numpy as np
import pytest

from edge_fm.evaluation.benchmark.statistics import (
    Rules,
    Verdict,
    check_latency,
    combine_verdicts,
    drift,
    median_estimate,
    median_ratio,
)
from edge_fm_runtime.measurement.latency import Latency


def interleaved(seed: int, *, rounds: int = 40, each: int = 30, ratio: float = 1.2) -> tuple[Latency, Latency]:
    """Two cases that share what each round does to the machine, and have a little of their own."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(rounds), each)
    shared = 1.0 + 0.2 * rng.random(rounds)
    over, under = (
        scale * (shared * (1 + 0.03 * rng.standard_normal(rounds)))[owner] * rng.lognormal(0, 0.02, len(owner))
        for scale in (ratio, 1.0)
    )
    return Latency(over, owner), Latency(under, owner)


def test_the_interval_of_a_ratio_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(100):
        estimate = median_ratio(*interleaved(seed), resamples=300, seed=seed)
        held += estimate.low <= 1.2 <= estimate.high
    assert held >= 88


def test_drawing_rounds_is_wider_than_drawing_samples_where_rounds_differ() -> None:
    over, _ = interleaved(1)
    by_round = median_estimate(over)
    alone = Latency(over.samples_ms, np.arange(over.n))  # every sample its own round: as if they were independent
    by_sample = median_estimate(alone)
    assert by_round.high - by_round.low > 2 * (by_sample.high - by_sample.low)


def test_large_rounds_are_stood_for_by_their_quantiles() -> None:
    rng = np.random.default_rng(0)
    rounds = np.repeat(np.arange(20), 5000)
    latency = Latency(rng.lognormal(size=len(rounds)), rounds)
    estimate = median_estimate(latency)
    assert estimate.low <= estimate.value <= estimate.high
    assert estimate.half_width < 0.03


def test_cases_of_other_rounds_have_no_ratio() -> None:
    over, under = interleaved(0)
    with pytest.raises(ValueError, match="interleaved"):
        median_ratio(over, Latency(under.samples_ms[:60], under.rounds[:60]))


def steady(n: int = 200, ms: float = 10.0) -> Latency:
    return Latency(np.full(n, ms), np.repeat(np.arange(20), n // 20))


def test_a_steady_case_is_valid() -> None:
    assert check_latency(steady()).valid


@pytest.mark.parametrize(
    ("latency", "reason"),
    [
        (steady(ms=1.0), "too short: 0.20 s counted"),
        (steady(n=40, ms=100.0), "too short: 40 samples"),
        (Latency(np.repeat([10.0, 12.0], 100), np.repeat(np.arange(20), 10)), "unstable: 20% slower"),
        (Latency(np.repeat([12.0, 10.0], 100), np.repeat(np.arange(20), 10)), "unstable: 20% faster"),
        (Latency(np.tile(np.repeat([10.0, 12.5], 10), 10), np.repeat(np.arange(20), 10)), "the median is known to"),
    ],
)
def test_what_is_not_to_be_trusted_is_invalid(latency: Latency, reason: str) -> None:
    verdict = check_latency(latency)
    assert not verdict.valid
    assert reason in str(verdict)


def test_rules_can_be_set() -> None:
    assert check_latency(steady(ms=1.0), Rules(min_duration_s=0.1)).valid
    assert drift(steady()) == 0.0


def test_verdicts_are_joined_with_their_names() -> None:
    joined = combine_verdicts([("", Verdict(())), ("tiny", Verdict(("too short", "unstable")))])
    assert joined.reasons == ("tiny: too short", "tiny: unstable")
    assert joined.to_json() == {"verdict": "INVALID", "reasons": ["tiny: too short", "tiny: unstable"]}
