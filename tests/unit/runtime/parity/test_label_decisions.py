"""Multi-label figures: average precision as scikit-learn has it, thresholds by F1, agreement and the drop of mAP."""

from __future__ import annotations

import numpy as np
import pytest

from edge_fm_runtime.artifacts.metadata import InputSpec, Metadata, dump_metadata
from edge_fm_runtime.artifacts.metadata_parser import parse_metadata
from edge_fm_runtime.errors import ArtifactError
from edge_fm_runtime.multi_label import label_thresholds
from edge_fm_runtime.parity.binomial import exact_interval
from edge_fm_runtime.parity.checks import Limits, check_parity
from edge_fm_runtime.parity.multi_label import (
    average_precisions,
    best_thresholds,
    compare_multi_label,
    mean_average_precision,
    multi_label_warning,
)

RNG = np.random.default_rng(4)
TRUTH = RNG.random((300, 3)) < (0.5, 0.2, 0.05)
SCORES = np.clip(0.3 * TRUTH + RNG.random((300, 3)) * 0.7, 0, 1).astype(np.float32)
NAMES = ("cat", "dog", "ox")


def test_average_precision_is_scikit_learns_also_with_ties() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    for scores in (SCORES, SCORES.round(1)):
        ours = average_precisions(scores, TRUTH)
        theirs = [metrics.average_precision_score(TRUTH[:, i], scores[:, i]) for i in range(3)]
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
        macro = metrics.average_precision_score(TRUTH, scores, average="macro")
        assert mean_average_precision(scores, TRUTH) == pytest.approx(macro, rel=1e-12)


def test_a_label_that_no_image_has_is_not_in_the_mean() -> None:
    truth = TRUTH.copy()
    truth[:, 1] = False
    found = average_precisions(SCORES, truth)
    assert np.isnan(found[1])
    assert mean_average_precision(SCORES, truth) == pytest.approx((found[0] + found[2]) / 2)


def test_thresholds_have_the_best_f1_of_all_cuts() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    for i, threshold in enumerate(best_thresholds(SCORES, TRUTH)):
        best = max(metrics.f1_score(TRUTH[:, i], SCORES[:, i] >= cut) for cut in np.unique(SCORES[:, i]))
        assert metrics.f1_score(TRUTH[:, i], SCORES[:, i] >= threshold) == pytest.approx(best)
        assert np.abs(SCORES[:, i] - threshold).min() > 0  # between two scores: rounding flips none
    assert best_thresholds(SCORES[:, :1], np.ones((300, 1), np.bool_)) == (0.5,)


def test_agreement_is_that_of_the_worst_label_at_its_own_threshold() -> None:
    reference = np.full((100, 2), 0.3, np.float32)
    candidate = reference.copy()
    candidate[:4, 1] = 0.25  # crosses 0.28 of the second label, and would cross no 0.5
    parity = compare_multi_label(reference, candidate, [0.5, 0.28], ["cat", "dog"])
    assert parity.per_label_agreement == {"cat": 1.0, "dog": 0.96}
    assert parity.top1_agreement == 0.96
    assert parity.agreement_ci95 == exact_interval(96, 100, tail=0.0125)
    (check,) = check_parity(parity, Limits(min_agreement=0.999))
    assert (check.name, check.passed) == ("label_agreement", False)
    assert check.detail == "4 of 100 decisions on 'dog' differ"
    json = parity.to_json()
    assert json["label_agreement"] == 0.96
    assert json["map"] is None
    assert {"top1_agreement", "accuracy"}.isdisjoint(json)


def test_drop_of_map_fails_beyond_its_interval_and_is_nothing_for_the_same_scores() -> None:
    same = compare_multi_label(SCORES, SCORES, [0.5] * 3, NAMES, truth=TRUTH.astype(np.int64))
    assert same.drop_points == 0
    assert same.drop_ci95 == (0, 0)
    worse = np.clip(SCORES + RNG.normal(0, 0.3, SCORES.shape), 0, 1).astype(np.float32)
    parity = compare_multi_label(SCORES, worse, [0.5] * 3, NAMES, truth=TRUTH.astype(np.int64))
    lost = 100 * (mean_average_precision(SCORES, TRUTH) - mean_average_precision(worse, TRUTH))
    assert parity.drop_points == pytest.approx(lost)
    assert parity.drop_ci95 is not None
    assert parity.drop_ci95[0] < lost < parity.drop_ci95[1]
    assert parity.drop_ci95[0] > 0.5
    (check,) = check_parity(parity, Limits(max_drop_points=0.5, min_agreement_unlabelled=0.98))
    assert (check.name, check.passed) == ("drop_points", False)


def test_without_labels_agreement_is_checked_in_place_of_the_drop() -> None:
    parity = compare_multi_label(SCORES, SCORES, [0.5] * 3, NAMES)
    checks = check_parity(parity, Limits(max_drop_points=0.5, min_agreement_unlabelled=0.98))
    assert [(check.name, check.passed) for check in checks] == [("label_agreement", True)]


def test_drawn_scores_are_warned_of() -> None:
    drawn = RNG.random((300, 3)).astype(np.float32)
    warning = multi_label_warning(drawn, TRUTH, who="The model", data="pets")
    assert warning is not None
    assert "hardly better than drawn scores" in warning
    assert multi_label_warning(TRUTH.astype(np.float32), TRUTH, who="The model", data="pets") is None


def test_metadata_holds_task_and_thresholds_and_is_as_before_without_a_task() -> None:
    spec = InputSpec(8, 8, 3)
    plain = Metadata("net", "onnx", "fp32", "model.onnx", spec, NAMES)
    assert "task" not in plain.to_json()
    scores = {"label_thresholds": {"values": [0.2, 0.4, 0.6], "dataset": "pets", "n": 9}}
    several = Metadata("net", "onnx", "fp32", "model.onnx", spec, NAMES, scores=scores, task="multi-label")
    read = parse_metadata(dump_metadata(several), where="here")
    assert read.task == "multi-label"
    assert label_thresholds(read) == (0.2, 0.4, 0.6)
    without = Metadata("net", "onnx", "fp32", "model.onnx", spec, NAMES, task="multi-label")
    assert label_thresholds(without) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("values", "task"), [([0.2, 0.4], "multi-label"), ([0.2, 0.4, 2.0], "multi-label"), ([0.2, 0.4, 0.6], None)]
)
def test_thresholds_that_do_not_fit_are_refused(values: list[float], task: None) -> None:
    scores = {"label_thresholds": {"values": values, "dataset": "pets", "n": 9}}
    damaged = Metadata("net", "onnx", "fp32", "model.onnx", InputSpec(8, 8, 3), NAMES, scores=scores, task=task)
    with pytest.raises(ArtifactError, match="label_thresholds"):
        parse_metadata(dump_metadata(damaged), where="here")


def test_an_unknown_task_is_refused() -> None:
    text = dump_metadata(Metadata("n", "onnx", "fp32", "m.onnx", InputSpec(8, 8, 3), NAMES, task="multi-label"))
    with pytest.raises(ArtifactError, match="task"):
        parse_metadata(text.replace('"multi-label"', '"detection"'), where="here")
