"""Differences, agreement, the paired interval, and every failed check in one error."""

from __future__ import annotations

import numpy as np
import pytest

from edge_fm_runtime.artifacts.metadata import FORMATS, PRECISIONS
from edge_fm_runtime.errors import EngineError
from edge_fm_runtime.parity.checks import check_parity, default_limits
from edge_fm_runtime.parity.comparison import compare_probabilities


def one_hot(classes: list[int], n: int = 3) -> np.ndarray:
    return np.eye(n, dtype=np.float32)[classes]


def test_drop_is_paired_and_in_points() -> None:
    labels = np.array([0] * 50 + [1] * 50)
    reference = one_hot([0] * 50 + [1] * 50)
    candidate = one_hot([0] * 48 + [2] * 2 + [1] * 50)
    parity = compare_probabilities(reference, candidate, labels=labels, label_names=["a", "b", "c"])
    assert parity.accuracy_reference == 1.0
    assert parity.accuracy == pytest.approx(0.98)
    assert parity.drop_points == pytest.approx(2.0)
    assert parity.top1_agreement == pytest.approx(0.98)
    assert parity.per_class_drop == {"a": pytest.approx(4.0), "b": 0.0}
    assert parity.drop_ci95 is not None
    low, high = parity.drop_ci95
    assert low < 2.0 < high


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    truth, covered, n = 2.0, 0, 400
    for _ in range(300):
        kind = rng.choice(3, size=n, p=[0.93, 0.045, 0.025])  # equal, lost, won: a true drop of 2 points
        reference = one_hot(list(np.where(kind == 2, 1, 0)))
        candidate = one_hot(list(np.where(kind == 1, 1, 0)))
        interval = compare_probabilities(reference, candidate, labels=np.zeros(n, int)).drop_ci95
        assert interval is not None
        covered += interval[0] <= truth <= interval[1]
    assert 0.91 <= covered / 300 <= 0.99


def test_equal_predictions_still_have_an_interval() -> None:
    same = one_hot([0, 1, 2] * 100)
    parity = compare_probabilities(same, same, labels=np.array([0, 1, 2] * 100))
    assert parity.drop_points == 0.0
    assert parity.drop_ci95 is not None and parity.drop_ci95[0] < 0 < parity.drop_ci95[1]


def test_worst_samples_come_first() -> None:
    reference = np.full((20, 2), 0.5)
    candidate = reference.copy()
    candidate[7] = [0.9, 0.1]
    assert compare_probabilities(reference, candidate).worst[0].index == 7


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_predictions_that_are_not_finite_are_an_error(bad: float) -> None:
    good = np.full((4, 2), 0.5)
    broken = good.copy()
    broken[2, 1] = bad
    with pytest.raises(EngineError, match="1 of 4"):
        compare_probabilities(good, broken)


def test_shapes_must_agree() -> None:
    with pytest.raises(EngineError, match=r"\[4, 2\].*\[4, 3\]"):
        compare_probabilities(np.zeros((4, 2)), np.zeros((4, 3)))


def test_without_labels_agreement_stands_in_for_the_drop() -> None:
    reference, candidate = one_hot([0] * 100), one_hot([0] * 90 + [1] * 10)
    checks = check_parity(compare_probabilities(reference, candidate), default_limits("onnx", "int8"))
    assert [(c.name, c.passed) for c in checks] == [("top1_agreement", False)]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_pair_has_a_limit_that_applies(format, precision) -> None:
    parity = compare_probabilities(one_hot([0, 1]), one_hot([0, 1]), labels=np.array([0, 1]))
    assert check_parity(parity, default_limits(format, precision))
