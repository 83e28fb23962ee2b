"""Figures agree with scikit-learn; plots and the page are written and hold what they should."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics as sk

from edge_fm.evaluation import (
    WrongAnswer,
    evaluate_probabilities,
    plot_confusion,
    plot_curves,
    plot_samples,
    write_report,
)
from edge_fm_runtime.errors import DataError

NAMES = ["T-shirt/top", "Ankle boot", "Bag <b>", "never answered", "never seen"]


def case(seed: int, n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n)
    probabilities = np.clip(rng.dirichlet(np.ones(5) * 0.4, n), 1e-4, 1)
    probabilities[:, 3] = 1e-5
    return probabilities / probabilities.sum(axis=1, keepdims=True), labels


@pytest.mark.parametrize("seed", range(5))
def test_figures_agree_with_scikit_learn(seed: int) -> None:
    probabilities, labels = case(seed)
    result = evaluate_probabilities(probabilities, labels, NAMES)
    answered = probabilities.argmax(axis=1)
    classes = range(5)
    assert result.accuracy == pytest.approx(sk.accuracy_score(labels, answered))
    assert result.loss == pytest.approx(sk.log_loss(labels, probabilities, labels=list(classes)), rel=1e-6)
    np.testing.assert_array_equal(result.confusion, sk.confusion_matrix(labels, answered, labels=list(classes)))
    expected = sk.precision_recall_fscore_support(labels, answered, labels=list(classes), zero_division=0)
    for i, name in enumerate(NAMES):
        score = result.per_class[name]
        assert (score.precision, score.recall, score.f1, score.support) == pytest.approx([e[i] for e in expected])


@pytest.mark.parametrize("seed", range(3))
def test_macro_means_and_pairs_agree_with_scikit_learn(seed: int) -> None:
    probabilities, labels = case(seed)
    result = evaluate_probabilities(probabilities, labels, NAMES)
    answered = probabilities.argmax(axis=1)
    expected = sk.precision_recall_fscore_support(labels, answered, labels=range(4), average="macro", zero_division=0)
    assert tuple(result.macro.values()) == pytest.approx(expected[:3])
    true, other, count = result.most_confused[0]
    off = sk.confusion_matrix(labels, answered, labels=range(5))
    np.fill_diagonal(off, 0)
    assert count == off.max() == off[NAMES.index(true), NAMES.index(other)]


def test_the_interval_is_wilsons() -> None:
    labels = np.zeros(10, np.int64)
    answers = np.eye(2)[[0] * 8 + [1] * 2]
    # Brown, Cai and DasGupta 2001, and any table: 8 of 10 is 0.490 to 0.943.
    assert evaluate_probabilities(answers, labels, NAMES[:2]).accuracy_ci95 == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert evaluate_probabilities(np.eye(2)[labels], labels, NAMES[:2]).accuracy_ci95[1] == pytest.approx(1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32])
def test_labels_of_small_types_do_not_overflow(dtype: type) -> None:
    names = [str(i) for i in range(100)]
    result = evaluate_probabilities(np.eye(100, dtype=np.float16), np.arange(100, dtype=dtype), names)
    assert result.accuracy == 1.0 and np.array_equal(result.confusion, np.eye(100))


def test_a_name_twice_is_refused() -> None:
    with pytest.raises(DataError, match="only 1 are different"):
        evaluate_probabilities(np.eye(2), np.array([0, 1]), ["Bag", "Bag"])


def test_a_sure_and_right_model_is_calibrated_and_a_sure_and_wrong_one_is_not() -> None:
    labels = np.array([0, 1] * 50)
    assert evaluate_probabilities(np.eye(2)[labels], labels, NAMES[:2]).calibration_error == 0.0
    assert evaluate_probabilities(np.eye(2)[1 - labels], labels, NAMES[:2]).calibration_error == 1.0


def test_worst_are_wrong_and_most_confident_first() -> None:
    probabilities = np.array([[0.6, 0.4], [0.1, 0.9], [0.01, 0.99], [0.9, 0.1]])
    result = evaluate_probabilities(probabilities, np.array([1, 0, 0, 0]), NAMES[:2])
    assert [answer.index for answer in result.worst] == [2, 1, 0]
    assert result.worst[0] == WrongAnswer(2, "T-shirt/top", "Ankle boot", 0.99)
    assert result.most_confused[0] == ("T-shirt/top", "Ankle boot", 2)


@pytest.mark.parametrize(
    ("probabilities", "labels"),
    [
        (np.eye(5), np.array([0])),
        (np.eye(5), np.array([0, 1, 2, 3, 5])),
        (np.full((5, 5), np.nan), np.arange(5)),
        (np.eye(5) * 8 - 3, np.arange(5)),
        (np.eye(5), np.arange(5.0)),
        (np.eye(5), np.arange(5)[:, None]),
        (np.zeros((0, 5)), np.zeros(0, int)),
    ],
)
def test_what_does_not_fit_is_refused(probabilities: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(DataError):
        evaluate_probabilities(probabilities, labels, NAMES)


def test_plots_are_pictures(tmp_path: Path) -> None:
    keys = ("loss", "accuracy", "val_loss", "val_accuracy")
    history = [{"epoch": e, **dict.fromkeys(keys, 1.0 / e)} for e in range(1, 4)]
    paths = [
        plot_curves(history, tmp_path / "curves.png"),
        plot_curves([{"loss": 1.0, "accuracy": 0.5}], tmp_path / "one.png"),
        plot_confusion(np.eye(5) * 10, NAMES, tmp_path / "confusion.png"),
        plot_confusion(np.eye(100), [str(i) for i in range(100)], tmp_path / "large.png"),
        plot_samples(np.zeros((3, 8, 8, 3), np.uint8), ["a", "b", "c"], tmp_path / "samples.png", right=[True, False]),
    ]
    for path in paths:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L"))
        assert pixels.std() > 5, path


def test_the_page_is_self_contained_and_escaped(tmp_path: Path) -> None:
    probabilities, labels = case(0)
    result = {"model": "<run>", "engine": "keras", "device": "CPU", "precision": "fp32", "data": "d", "split": "test"}
    result |= evaluate_probabilities(probabilities, labels, NAMES).to_json()
    images = np.zeros((len(labels), 8, 8, 1), np.uint8)
    history = [{"epoch": 1, "loss": 1.0, "accuracy": 0.5}]
    page = write_report(tmp_path / "report", result, images=images, labels=NAMES, history=history).read_text()
    assert "&lt;run&gt;" in page and "Bag &lt;b&gt;" in page and "<run>" not in page
    assert page.count("data:image/png;base64,") == 3
    assert "http://" not in page and "https://" not in page
    assert json.loads((tmp_path / "report/evaluation.json").read_text())["n"] == len(labels)
