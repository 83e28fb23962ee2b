"""The gate knows how many images it has: few of them fail nobody by chance, and many let nothing bad pass."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.artifacts.golden import Golden, load_golden, save_golden
from edge_fm_runtime.artifacts.metadata import Metadata
from edge_fm_runtime.engines import create_engine
from edge_fm_runtime.parity.binomial import exact_interval, most_allowed
from edge_fm_runtime.parity.checks import Check, Limits, check_agreement, check_parity
from edge_fm_runtime.parity.comparison import Parity, compare_probabilities
from edge_fm_runtime.parity.verification import verify_golden

SIZES = (40, 81, 300, 10_000)


def compared(n: int, *, lost: int = 0, won: int = 0) -> Parity:
    """`n` images of class 0 that both classify right, but for some that the exported model loses or wins."""
    one_hot = np.eye(2, dtype=np.float32)
    reference, candidate = np.zeros(n, int), np.zeros(n, int)
    candidate[:lost] = 1
    reference[lost : lost + won] = 1
    return compare_probabilities(one_hot[reference], one_hot[candidate], labels=np.zeros(n, np.int64))


def only(parity: Parity, limits: Limits) -> Check:
    (check,) = check_parity(parity, limits)
    return check


@pytest.mark.parametrize(
    ("n", "fp16", "int8"), [(40, 1, 3), (81, 1, 4), (300, 2, 11), (10_000, 17, 228)], ids=map(str, SIZES)
)
def test_as_many_predictions_may_differ_as_the_limit_makes_likely(n: int, fp16: int, int8: int) -> None:
    for limit, allowed in ((0.999, fp16), (0.98, int8)):
        kept, broken = (check_agreement(compared(n, lost=flips), limit) for flips in (allowed, allowed + 1))
        assert kept.passed and not broken.passed and broken.verdict == "FAILED"
        assert kept.warns == (allowed / n > 1 - limit)
        assert most_allowed(n, 1 - limit) == allowed


def test_one_prediction_of_81_warns_and_says_why() -> None:
    check = only(compared(81, lost=1), Limits(min_agreement=0.999))
    assert (check.passed, check.warns, check.verdict) == (True, True, "warning")
    assert "1 of 81 predictions differ" in check.describe()
    assert json.loads(json.dumps(check.to_json()))["ci95"] == list(exact_interval(80, 81))


@pytest.mark.parametrize(("n", "lost"), [(40, 5), (81, 6), (300, 7), (10_000, 67)], ids=map(str, SIZES))
def test_a_drop_fails_where_all_of_its_interval_is_beyond_the_limit(n: int, lost: int) -> None:
    limits = Limits(max_drop_points=0.5)
    assert not only(compared(n, lost=lost), limits).passed
    kept = only(compared(n, lost=lost - 1), limits)
    assert kept.passed and kept.warns and kept.ci95 is not None
    assert kept.ci95[0] <= 0.5 < kept.value < kept.ci95[1]


def test_one_lost_image_of_81_is_a_warning_and_a_gain_is_none() -> None:
    assert only(compared(81, lost=1), Limits(max_drop_points=0.5)).verdict == "warning"
    assert only(compared(81, won=1), Limits(max_drop_points=0.5)).verdict == "passed"
    assert only(compared(10_000, lost=40, won=10), Limits(max_drop_points=0.5)).verdict == "passed"


@pytest.mark.parametrize("n", SIZES)
def test_a_broken_copy_fails_at_every_size(n: int) -> None:
    broken = compared(n, lost=n // 5)
    for limits in (Limits(min_agreement=0.98), Limits(min_agreement=0.9999), Limits(max_drop_points=5.0)):
        assert not only(broken, limits).passed


def test_on_many_images_a_small_excess_still_fails() -> None:
    assert not only(compared(10_000, lost=25), Limits(min_agreement=0.999)).passed
    assert not only(compared(10_000, lost=150, won=50), Limits(max_drop_points=0.5)).passed


@pytest.mark.parametrize("limit", [1.0, 0.0])
def test_the_ends_of_the_range_are_limits_too(limit: float) -> None:
    assert check_agreement(compared(50), limit).passed
    assert check_agreement(compared(50, lost=1), limit).passed == (limit == 0.0)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"), [(0, 10, 0.0, 0.3085), (5, 10, 0.1871, 0.8129), (10, 10, 0.6915, 1.0)]
)
def test_the_interval_is_clopper_and_pearsons(hits: int, n: int, low: float, high: float) -> None:
    # Values of R's binom.test.
    assert exact_interval(hits, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_both_ends_rise_with_the_count_and_stay_within() -> None:
    for n in (1, 2, 7, 40):
        ends = [exact_interval(hits, n) for hits in range(n + 1)]
        assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(ends))
        assert all(0 <= low <= hits / n <= high <= 1 for hits, (low, high) in enumerate(ends))


@pytest.mark.parametrize("n", [40, 81, 300])
@pytest.mark.parametrize("drop", [0.005, 0.015, 0.05])
@pytest.mark.parametrize("won", [0.0, 0.003, 0.02, 0.1])
def test_a_copy_that_keeps_the_limit_seldom_fails(n: int, drop: float, won: float) -> None:
    """Every outcome of `n` images, weighted by its chance where the true drop is the limit."""
    lost = won + drop
    b, c = np.arange(n + 1)[:, None], np.arange(n + 1)[None, :]
    rest = n - b - c
    log_factorial = np.array([math.lgamma(k + 1) for k in range(n + 1)])
    ways = log_factorial[n] - log_factorial[b] - log_factorial[c] - log_factorial[np.maximum(rest, 0)]
    log_won = c * math.log(won) if won else np.where(c > 0, -np.inf, 0.0)
    chance = np.where(rest >= 0, np.exp(ways + b * math.log(lost) + log_won + rest * math.log1p(-lost - won)), 0.0)
    assert chance.sum() == pytest.approx(1.0)
    # The least number lost that fails, for each number won; more lost fail all the more.
    fails = np.zeros_like(chance, dtype=bool)
    for gained in range(min(n, 60) + 1):
        low, high = gained, n - gained + 1
        while low < high:
            middle = (low + high) // 2
            passed = only(compared(n, lost=middle, won=gained), Limits(max_drop_points=100 * drop)).passed
            low, high = (middle + 1, high) if passed else (low, middle)
        fails[low:, gained] = True
    assert chance[fails].sum() <= 0.025


def test_some_golden_images_may_differ_on_a_device_and_many_may_not(
    make_artifact: Callable[..., Path], metadata: Metadata
) -> None:
    """Recorded predictions are exchanged for some images, as if this device predicted otherwise."""
    folder = make_artifact(metadata=replace(metadata, precision="int8"))
    artifact = load_artifact(folder)
    golden = load_golden(folder / "golden.npz")
    with closing(create_engine(artifact)) as engine:
        for flips, passed in ((0, True), (1, True), (4, True), (5, False), (32, False)):
            predictions = np.full_like(golden.exported, 1 / 3)
            predictions[np.arange(32), golden.exported.argmax(axis=1)] += 0.01
            predictions[:flips] = np.roll(predictions[:flips], 1, axis=1)
            save_golden(Golden(golden.images, predictions, predictions), folder / "golden.npz")
            result = verify_golden(artifact, engine)
            agreement = [check for check in result.checks if check.least]
            assert len(agreement) == 3 and all(check.passed == passed for check in agreement), (flips, agreement)


def test_images_that_fill_up_a_fixed_batch_count_once(make_artifact: Callable[..., Path]) -> None:
    folder = make_artifact()
    golden = load_golden(folder / "golden.npz")
    twice = Golden(*(np.concatenate([array, array]) for array in (golden.images, golden.reference, golden.exported)))
    artifact = load_artifact(folder)
    save_golden(twice, folder / "golden.npz")
    with closing(create_engine(artifact)) as engine:
        assert verify_golden(artifact, engine).parity.n == 32
