"""Calibration error, Brier score, temperature and threshold: the values that a person computes by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge_fm.evaluation.scores import evaluate_scores
from edge_fm_export.scores.figures import BINS, brier_score, calibration_bins, calibration_error, score_figures
from edge_fm_export.scores.rejection import Goals, fit_rejection
from edge_fm_export.scores.temperature import HIGHEST, LOWEST, calibrate, fit_temperature, with_temperature


def two_classes(*pairs: tuple[float, bool, int]) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of class 0 with a confidence, right or wrong, so many times."""
    rows = [([score, 1 - score], 0 if right else 1) for score, right, count in pairs for _ in range(count)]
    return np.array([row for row, _ in rows], np.float32), np.array([label for _, label in rows])


def test_the_calibration_error_by_hand() -> None:
    # 6 of 10 right at 0.9: off by 0.3. 9 of 10 right at 0.7: off by 0.2. The mean is 0.25.
    predictions, labels = two_classes((0.9, True, 6), (0.9, False, 4), (0.7, True, 9), (0.7, False, 1))
    bins = calibration_bins(predictions.max(axis=1), predictions.argmax(axis=1) == labels)
    assert len(bins) == BINS == 15
    full = [(bin_.count, bin_.accuracy, round(bin_.confidence or 0, 6)) for bin_ in bins if bin_.count]
    assert full == [(10, 0.9, 0.7), (10, 0.6, 0.9)]
    assert calibration_error(bins) == pytest.approx(0.25, abs=1e-6)
    # Both classes are off by as much: 0.02 where right at 0.9, 1.62 where wrong; 0.18 and 0.98 at 0.7.
    assert brier_score(predictions, labels) == pytest.approx((6 * 0.02 + 4 * 1.62 + 9 * 0.18 + 0.98) / 20, abs=1e-6)
    figures = score_figures(predictions, labels)
    loss = -(6 * math.log(0.9) + 4 * math.log(0.1) + 9 * math.log(0.7) + math.log(0.3)) / 20
    assert figures.to_json() == pytest.approx(
        {"loss": loss, "calibration_error": 0.25, "brier": brier_score(predictions, labels)}, abs=1e-6
    )


def test_the_temperature_by_hand() -> None:
    # All at 0.9, 80% right: the best score is 0.8, so log 9 / T = log 4.
    predictions, labels = two_classes((0.9, True, 80), (0.9, False, 20))
    temperature, note = fit_temperature(predictions, labels)
    assert note is None and temperature == pytest.approx(math.log(9) / math.log(4), rel=1e-5)
    assert with_temperature(predictions, temperature)[0, 0] == pytest.approx(0.8, abs=1e-6)
    found = calibrate(predictions, labels, dataset="made up validation")
    assert found.after.calibration_error == pytest.approx(0, abs=1e-6) and found.fitted
    assert found.before.calibration_error == pytest.approx(0.1, abs=1e-6)
    assert found.after.loss < found.before.loss and found.after.brier < found.before.brier
    # Not sure enough: 0.6 where 80% are right.
    predictions, labels = two_classes((0.6, True, 80), (0.6, False, 20))
    assert fit_temperature(predictions, labels)[0] == pytest.approx(math.log(1.5) / math.log(4), rel=1e-5)


def test_the_temperature_of_logits_that_were_multiplied_is_found() -> None:
    rng = np.random.default_rng(0)
    true = with_temperature(rng.dirichlet(np.ones(5), 4000), 1.0)
    labels = (true.cumsum(axis=1) < rng.random((4000, 1))).sum(axis=1)
    for factor in (0.5, 1.0, 3.0):
        predictions = with_temperature(true, 1 / factor)
        temperature, note = fit_temperature(predictions, labels)
        assert note is None and temperature == pytest.approx(factor, rel=0.06)
        best = score_figures(with_temperature(predictions, temperature), labels).loss
        for other in (0.97 * temperature, 1.03 * temperature):
            assert score_figures(with_temperature(predictions, other), labels).loss >= best
        assert (with_temperature(predictions, temperature).argmax(axis=1) == predictions.argmax(axis=1)).all()


def test_without_enough_to_go_by_scores_stay() -> None:
    few = two_classes((0.9, True, 40), (0.9, False, 9))
    assert fit_temperature(*few) == (1.0, "there are 49 validation images, and a temperature needs at least 50.")
    temperature, note = fit_temperature(*two_classes((0.9, True, 60)))
    assert temperature == 1.0 and note is not None and "all 60 validation images are predicted right" in note
    found = calibrate(*few, dataset="x")
    assert found.before == found.after and found.sentence().startswith("Scores are as they were trained: there are 49")


def test_the_ends_of_the_range_are_named() -> None:
    wrong = fit_temperature(*two_classes((0.9999, True, 1), (0.9999, False, 99)))
    assert wrong[0] == HIGHEST and "highest" in str(wrong[1])
    unsure = fit_temperature(*two_classes((0.501, True, 99), (0.501, False, 1)))
    assert unsure[0] == LOWEST and "lowest" in str(unsure[1])


def test_a_probability_of_zero_breaks_nothing() -> None:
    predictions = np.tile(np.array([[1.0, 0.0, 0.0]], np.float32), (100, 1))
    labels = np.repeat([0, 1], [90, 10])
    temperature, _ = fit_temperature(predictions, labels)
    assert np.isfinite(with_temperature(predictions, temperature)).all() and temperature == HIGHEST


def test_the_lowest_threshold_that_reaches_the_goals() -> None:
    # 100 images: at 0.9 all 50 right, at 0.7 24 of 30, at 0.5 10 of 20.
    pairs = ((0.9, True, 50), (0.7, True, 24), (0.7, False, 6), (0.5, True, 10), (0.5, False, 10))
    predictions, labels = two_classes(*pairs)
    found = fit_rejection(predictions, labels, dataset="made up")
    # 74 of 80 are 92.5%; with the rest 84%.
    row = found.selected
    assert row is not None and (row.threshold, row.coverage, row.accuracy, row.others_accepted) == (
        0.51,
        0.8,
        0.925,
        None,
    )
    assert [r.threshold for r in found.table][:3] == [0.0, 0.1, 0.2] and 0.51 in [r.threshold for r in found.table]
    assert found.to_json()["max_others"] is None
    easy = fit_rejection(predictions, labels, dataset="made up", goals=Goals(target_accuracy=0.8))
    assert easy.threshold == 0.0
    others = {
        "hats": np.tile([[0.8, 0.2]], (10, 1)),
        "shorts": np.concatenate([np.tile([[0.6, 0.4]], (25, 1)), np.tile([[0.95, 0.05]], (5, 1))]),
    }
    # 15 of 40 are at 0.8 or above: the threshold must be above 0.8.
    found = fit_rejection(predictions, labels, dataset="made up", others=others)
    assert (found.threshold, found.to_json()["max_others"]) == (0.81, 0.25)
    assert found.others == ({"name": "hats", "n": 10, "accepted": 0.0}, {"name": "shorts", "n": 30, "accepted": 1 / 6})
    assert found.selected is not None and found.selected.others_accepted == 0.125
    assert "12.5% of other things" in found.sentence()


def test_a_goal_that_cannot_be_reached_gives_no_threshold_and_says_why() -> None:
    predictions, labels = two_classes((0.9, True, 50), (0.9, False, 50))
    found = fit_rejection(predictions, labels, dataset="made up")
    assert found.threshold is None and found.selected is None
    assert "no threshold makes 92%" in str(found.reason) and "50.0%" in str(found.reason)
    assert str(found.reason).endswith("A goal that is reached: edgefm export --target-accuracy 0.5")
    assert fit_rejection(predictions, labels, dataset="made up", goals=Goals(0.5)).threshold is not None
    good, right = two_classes((0.9, True, 100))
    found = fit_rejection(good, right, dataset="x", others={"hats": np.tile([[0.999, 0.001]], (10, 1))})
    assert found.threshold is None and "100.0% of other things get one, more than 25%" in str(found.reason)
    assert str(found.reason).endswith("edgefm export --max-others 1")
    found = fit_rejection(*two_classes((0.9, True, 19)), dataset="x")
    assert found.threshold is None and "there are 19 validation images" in str(found.reason)


def test_a_score_in_single_precision_is_compared_as_the_runtime_compares_it() -> None:
    # 0.63 in single precision is a little below 0.63.
    predictions, labels = two_classes((0.63, False, 30), (0.9, True, 70))
    found = fit_rejection(predictions, labels, dataset="x")
    assert float(predictions[0, 0]) < 0.63 and found.threshold == 0.63


def test_what_temperature_and_threshold_do_on_other_images() -> None:
    predictions, labels = two_classes((0.9, True, 6), (0.9, False, 4), (0.7, True, 9), (0.7, False, 1))
    assert evaluate_scores(predictions, labels, None) == {"temperature": None, "before": None, "rejection": None}
    scores = evaluate_scores(predictions, labels, {"temperature": 2.0, "rejection": {"threshold": 0.8}})
    assert scores["rejection"] == {"threshold": 0.8, "coverage": 0.5, "accuracy": 0.6}
    before = score_figures(with_temperature(predictions, 0.5), labels)
    assert scores["before"] == before.to_json() and before.loss > score_figures(predictions, labels).loss
    nothing = evaluate_scores(predictions, labels, {"rejection": {"threshold": 0.99}})
    assert nothing["rejection"] == {"threshold": 0.99, "coverage": 0.0, "accuracy": None}
