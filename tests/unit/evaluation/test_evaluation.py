"""Figures agree with scikit-learn; plots and the page are written and hold what they should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_predictions import NAMES, case
from PIL import Image
from sklearn import metrics as sk

from edge_fm.evaluation import (
    WrongPrediction,
    evaluate_probabilities,
    feature_maps,
    map_layers,
    plot_confusion,
    plot_curves,
    plot_feature_maps,
    plot_reliability,
    plot_samples,
)
from edge_fm.evaluation.feature_maps import first_convolution
from edge_fm.evaluation.plots import draw_curves, new_figure
from edge_fm_runtime.errors import DataError, ModelError


@pytest.mark.parametrize("seed", range(5))
def test_figures_agree_with_scikit_learn(seed: int) -> None:
    probabilities, labels = case(seed)
    result = evaluate_probabilities(probabilities, labels, NAMES)
    predicted = probabilities.argmax(axis=1)
    classes = range(5)
    assert result.accuracy == pytest.approx(sk.accuracy_score(labels, predicted))
    assert result.loss == pytest.approx(sk.log_loss(labels, probabilities, labels=list(classes)), rel=1e-6)
    np.testing.assert_array_equal(result.confusion, sk.confusion_matrix(labels, predicted, labels=list(classes)))
    expected = sk.precision_recall_fscore_support(labels, predicted, labels=list(classes), zero_division=0)
    for i, name in enumerate(NAMES):
        score = result.per_class[name]
        assert (score.precision, score.recall, score.f1, score.support) == pytest.approx([e[i] for e in expected])


@pytest.mark.parametrize("seed", range(3))
def test_macro_means_and_pairs_agree_with_scikit_learn(seed: int) -> None:
    probabilities, labels = case(seed)
    result = evaluate_probabilities(probabilities, labels, NAMES)
    predicted = probabilities.argmax(axis=1)
    expected = sk.precision_recall_fscore_support(labels, predicted, labels=range(4), average="macro", zero_division=0)
    assert tuple(result.macro.values()) == pytest.approx(expected[:3])
    true, other, count = result.most_confused[0]
    off = sk.confusion_matrix(labels, predicted, labels=range(5))
    np.fill_diagonal(off, 0)
    assert count == off.max() == off[NAMES.index(true), NAMES.index(other)]


def test_the_interval_is_wilsons() -> None:
    labels = np.zeros(10, np.int64)
    predictions = np.eye(2)[[0] * 8 + [1] * 2]
    # Brown, Cai and DasGupta 2001, and any table: 8 of 10 is 0.490 to 0.943.
    assert evaluate_probabilities(predictions, labels, NAMES[:2]).accuracy_ci95 == pytest.approx(
        (0.4902, 0.9433), abs=1e-4
    )
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
    assert [one.index for one in result.worst] == [2, 1, 0]
    assert result.worst[0] == WrongPrediction(2, "T-shirt/top", "Ankle boot", 0.99)
    assert result.most_confused[0] == ("T-shirt/top", "Ankle boot", 2)


@pytest.mark.parametrize(
    ("probabilities", "labels", "says"),
    [
        (np.eye(5), np.array([0]), r"shape \[5, 5\] for 1 labels"),
        (np.eye(5), np.array([0, 1, 2, 3, 5]), "run from 0 to 5"),
        (np.full((5, 5), np.nan), np.arange(5), "5 of 5 images are not finite"),
        (np.eye(5) * 8 - 3, np.arange(5), "values from -3 to 5"),
        (np.eye(5), np.arange(5.0), "float64"),
        (np.eye(5), np.arange(5)[:, None], r"\[5, 1\]"),
        (np.zeros((0, 5)), np.zeros(0, int), "at least 1"),
    ],
)
def test_what_does_not_fit_is_refused(probabilities: np.ndarray, labels: np.ndarray, says: str) -> None:
    with pytest.raises(DataError, match=says):
        evaluate_probabilities(probabilities, labels, NAMES)


@pytest.mark.parametrize(("kept", "at", "label"), [(None, 1, "best epoch"), (3, 3, "epoch kept")])
def test_the_curves_mark_the_epoch_whose_weights_were_kept(kept: int | None, at: int, label: str) -> None:
    keys = ("loss", "accuracy", "val_loss", "val_accuracy")
    figure = new_figure(9, 3.6)
    draw_curves(figure, [{"epoch": e, **dict.fromkeys(keys, 1.0 / e)} for e in range(1, 4)], kept=kept)
    marks = [line for line in figure.axes[0].get_lines() if line.get_label() == label]
    assert [list(mark.get_xdata()) for mark in marks] == [[at, at]]


def test_plots_are_images(tmp_path: Path) -> None:
    keys = ("loss", "accuracy", "val_loss", "val_accuracy")
    history = [{"epoch": e, **dict.fromkeys(keys, 1.0 / e)} for e in range(1, 4)]
    paths = [
        plot_curves(history, tmp_path / "curves.png"),
        plot_curves([{"loss": 1.0, "accuracy": 0.5}], tmp_path / "one.png"),
        plot_reliability(
            evaluate_probabilities(*case(0), NAMES).to_json()["calibration"], tmp_path / "calibration.png"
        ),
        plot_confusion(np.eye(5) * 10, NAMES, tmp_path / "confusion.png"),
        plot_confusion(np.eye(100), [str(i) for i in range(100)], tmp_path / "large.png"),
        plot_samples(np.zeros((3, 8, 8, 3), np.uint8), ["a", "b", "c"], tmp_path / "samples.png", right=[True, False]),
    ]
    for path in paths:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L"))
        assert pixels.std() > 5, path


def test_bins_of_calibration_hold_every_prediction_and_give_the_error() -> None:
    probabilities, labels = case(1)
    result = evaluate_probabilities(probabilities, labels, NAMES)
    bins = result.calibration
    assert sum(one.count for one in bins) == result.n and (bins[0].low, bins[-1].high) == (0.0, 1.0)
    assert bins[0].count == 0 and bins[0].accuracy is None  # of five classes, the best is never below a fifth
    gaps = [one.count * abs(one.accuracy - one.confidence) for one in bins if one.count]
    assert result.calibration_error == pytest.approx(sum(gaps) / result.n)
    confidence = probabilities.max(axis=1)
    sure = (confidence >= bins[9].low) & (confidence < bins[9].high)
    assert bins[9].accuracy == pytest.approx((probabilities.argmax(axis=1) == labels)[sure].mean())


@pytest.fixture(scope="module")
def tiny_model():
    import keras

    image = keras.Input((8, 8, 1), dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 255, name="scale")(image)
    x = keras.layers.Conv2D(5, 3, name="conv")(x)
    x = keras.layers.MaxPooling2D(name="pool")(x)
    x = keras.layers.Dense(5, activation="softmax", name="probabilities")(keras.layers.Flatten(name="flat")(x))
    return keras.Model(image, x)


def test_feature_maps_are_the_layers_own_outputs(tiny_model: Any, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), dtype=np.uint8)
    assert map_layers(tiny_model) == ("image", "scale", "conv", "pool")
    assert first_convolution(tiny_model) == "conv"
    maps = feature_maps(tiny_model, images, layer="conv")
    assert maps.shape == (3, 6, 6, 5)
    kernel, bias = tiny_model.get_layer("conv").get_weights()
    expected = (images[1, 2:5, 1:4, :, None] / 255 * kernel).sum(axis=(0, 1, 2)) + bias
    np.testing.assert_allclose(maps[1, 2, 1], expected, rtol=1e-4, atol=1e-5)
    with Image.open(plot_feature_maps(images[0], maps[0], tmp_path / "maps.png", title="conv")) as image:
        assert np.asarray(image.convert("L")).std() > 5


@pytest.mark.parametrize(("layer", "says"), [("cnov", "Did you mean 'conv'"), ("flat", "has no feature map")])
def test_a_layer_without_maps_is_refused_and_those_with_are_named(tiny_model: Any, layer: str, says: str) -> None:
    with pytest.raises(ModelError) as raised:
        feature_maps(tiny_model, np.zeros((1, 8, 8, 1), np.uint8), layer=layer)
    assert says in str(raised.value) and "scale, conv, pool" in str(raised.value)


def test_names_of_points_cross_no_axis() -> None:
    from edge_fm.evaluation.page import drawn, label_points

    points = [(0.1 * 3**n, 90.0 + n % 2, f"edgenet-s-openvino-int{n}") for n in range(8)]
    with drawn(4.2) as (drawing, axes):
        axes.set_xscale("log")
        axes.scatter([x for x, _, _ in points], [y for _, y, _ in points])
        axes.margins(x=0.16, y=0.2)
        label_points(axes, points)
        drawing.canvas.draw()
        frame = axes.get_window_extent()
        assert [text.get_text() for text in axes.texts] == [name for _, _, name in points]
        for text in axes.texts:
            box = text.get_window_extent()
            assert frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
