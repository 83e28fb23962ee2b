"""The tests keep their false-alarm rate, with ties and in small samples too, and agree with SciPy where it has them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from edge_fm_runtime.drift.two_sample import PERMUTATIONS, anderson_darling, cell_test, class_test, holm
from edge_fm_runtime.parity.binomial import most_allowed

Draw = Callable[[np.random.Generator, int], np.ndarray]


@pytest.mark.parametrize("shift", [0.08, 0.12, 0.16, 0.2])
def test_anderson_darling_is_scipys(shift: float) -> None:
    stats = pytest.importorskip("scipy.stats", reason="SciPy computes the same")
    random = np.random.default_rng(int(100 * shift))
    one, other = random.normal(size=900), random.normal(shift, size=300)
    ours = anderson_darling(one, other)
    if 0.001 < ours < 0.25:  # beyond, SciPy caps its own; its values are interpolated in a table
        assert ours == pytest.approx(stats.anderson_ksamp([one, other], variant="midrank").pvalue, rel=0.15)
    exact = stats.PermutationMethod(n_resamples=999, rng=np.random.default_rng(1))
    assert ours == pytest.approx(stats.anderson_ksamp([one, other], variant="midrank", method=exact).pvalue, abs=0.04)


@pytest.mark.parametrize(
    "draw",
    [
        pytest.param(lambda random, n: random.normal(size=n), id="no ties"),
        pytest.param(lambda random, n: random.poisson(0.3, n), id="few values"),
        pytest.param(lambda random, n: random.exponential(size=n).astype(np.float16), id="rounded"),
        pytest.param(lambda random, n: np.where(random.random(n) < 0.97, 0, random.random(n)), id="mostly zero"),
    ],
)
def test_anderson_darling_keeps_its_false_alarm_rate(draw: Draw) -> None:
    random, times = np.random.default_rng(0), 300
    p_values = np.array([anderson_darling(draw(random, 120), draw(random, 40)) for _ in range(times)])
    assert p_values.min() > 0 and p_values.max() <= 1
    for alpha in (0.01, 0.05, 0.2):
        assert (p_values <= alpha).sum() <= most_allowed(times, alpha), alpha
    assert (p_values <= 0.5).mean() > 0.35  # and is not merely never sure


def test_which_sample_is_the_reference_makes_no_difference() -> None:
    random = np.random.default_rng(3)
    one, other = random.normal(size=200), random.normal(0.3, size=50)
    assert anderson_darling(one, other) == pytest.approx(anderson_darling(other, one))
    few = random.integers(0, 4, 50)
    assert anderson_darling(one.round(), few) == pytest.approx(anderson_darling(few, one.round()))
    assert class_test(np.array([50, 150]), np.array([30, 20])) == pytest.approx(
        class_test(np.array([30, 20]), np.array([50, 150])), abs=0.01
    )


def test_more_of_a_change_gives_less_of_a_p_value() -> None:
    values = np.linspace(0, 1, 300)
    found = [anderson_darling(values, values + shift) for shift in (0, 0.05, 0.1, 0.3, 0.6, 2.0)]
    assert found[0] > 0.99 and all(later < earlier for earlier, later in pairwise(found)) and found[-1] > 0
    assert anderson_darling(np.zeros(10), np.zeros(5)) == 1.0


def test_chi_square_by_permutation_is_near_scipys() -> None:
    stats = pytest.importorskip("scipy.stats", reason="SciPy computes the same")
    random = np.random.default_rng(0)
    one, other = random.integers(0, 6, 500), random.choice(6, 200, p=[0.24, 0.16, 0.15, 0.15, 0.15, 0.15])
    table = np.array([np.bincount(one, minlength=6), np.bincount(other, minlength=6)])
    assert cell_test(one[:, None], other[:, None], 6) == pytest.approx(stats.chi2_contingency(table)[1], abs=0.02)
    ratio = stats.chi2_contingency(table, lambda_="log-likelihood")[1]
    assert class_test(*table) == pytest.approx(ratio, abs=0.02)


def test_partitions_that_are_the_same_are_one_test() -> None:
    random = np.random.default_rng(1)
    one, other = random.integers(0, 20, (300, 1)), random.integers(0, 17, (100, 1))
    assert cell_test(one, other, 20) == pytest.approx(cell_test(one.repeat(8, 1), other.repeat(8, 1), 20), abs=1e-9)


def test_cells_keep_their_false_alarm_rate() -> None:
    random, times = np.random.default_rng(5), 60
    alarms = 0
    for _ in range(times):
        points = random.normal(size=(160, 1))
        cells = (points > random.normal(size=(1, 8))) + 2 * (points > 1)  # they depend on each other
        alarms += cell_test(cells[:120], cells[120:], 4) <= 0.05
    assert alarms <= most_allowed(times, 0.05)


def test_holm() -> None:
    assert holm([]) == () and holm([0.02]) == (0.02,)
    # Holm 1979: the least p-value is multiplied by the number of tests, the next by one less, never falling.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.9, 0.8]) == (1.0, 1.0)
    assert 11 / (PERMUTATIONS + 1) < 0.01  # so that a permutation test can fire among eleven at every alpha
