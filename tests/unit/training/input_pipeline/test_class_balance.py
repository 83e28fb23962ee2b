"""Classes of different sizes: their weights in the loss, and epochs in which they have equal shares."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edge_fm.training import AugmentationPart, Recipe, TrainingPart
from edge_fm.training.input_pipeline.batches import epoch_batches
from edge_fm.training.input_pipeline.class_balance import balanced_order, class_weights
from edge_fm.training.run.selection import rank, score
from edge_fm_runtime.errors import RecipeError
from edge_fm_runtime.parity.class_means import class_means

LABELS = np.array([0] * 60 + [1] * 30 + [3] * 9)


def test_weights_make_the_classes_equal() -> None:
    recipe = Recipe(training=TrainingPart(class_weights="balanced"))
    weights = class_weights(recipe, LABELS, 4)
    assert weights is not None
    np.testing.assert_allclose(np.bincount(LABELS, weights=weights[LABELS], minlength=4), [33, 33, 0, 33], rtol=1e-6)
    assert class_weights(Recipe(), LABELS, 4) is None


def test_balanced_order_has_equal_shares_and_uses_small_classes_evenly() -> None:
    order = balanced_order(LABELS, np.random.default_rng(0))
    assert np.bincount(LABELS[order]).tolist() == [33, 33, 0, 33]
    times = np.bincount(order, minlength=99)
    assert set(times[:60]) == {0, 1}
    assert set(times[60:90]) == {1, 2}
    assert set(times[90:]) == {3, 4}
    np.testing.assert_array_equal(order, balanced_order(LABELS, np.random.default_rng(0)))
    assert (order != balanced_order(LABELS, np.random.default_rng(1))).any()


def test_batches_carry_the_weights_of_what_is_mixed() -> None:
    pytest.importorskip("keras")
    training = TrainingPart(batch_size=33, class_weights="balanced")
    images = np.zeros((99, 6, 6, 1), np.uint8)
    for mixup in (0.0, 1.0):
        recipe = Recipe(training=training, augmentation=AugmentationPart(mixup=mixup))
        _, targets, weights = epoch_batches(images, LABELS, recipe, classes=4, epoch=0)[0]
        each = class_weights(recipe, LABELS, 4)
        assert weights.shape == (33,)
        np.testing.assert_allclose(weights, targets @ each, rtol=1e-6)
    balanced = Recipe(training=TrainingPart(batch_size=33, balanced_sampling=True))
    batches = epoch_batches(images, LABELS, balanced, classes=4, epoch=0)
    assert sum(batches[i][1] for i in range(3)).sum(axis=0).tolist() == [33, 33, 0, 33]
    assert len(batches[0]) == 2


def test_balancing_twice_is_refused() -> None:
    with pytest.raises(RecipeError, match="do it twice"):
        TrainingPart(class_weights="balanced", balanced_sampling=True)


def test_class_means_are_those_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    truth = rng.choice(5, 200, p=[0.5, 0.3, 0.15, 0.05, 0.0])
    predicted = np.where(rng.random(200) < 0.6, truth, rng.integers(0, 4, 200))
    ours = class_means(predicted, truth, 5)
    assert ours.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(truth, predicted))
    assert ours.macro_f1 == pytest.approx(metrics.f1_score(truth, predicted, average="macro"))


def test_the_best_is_what_the_recipe_selects_by() -> None:
    truth = np.array([0] * 8 + [1] * 2)
    large = score(np.eye(2, dtype=np.float32)[[0] * 10] * 0.6 + 0.2, truth)
    even = score(np.eye(2, dtype=np.float32)[[0] * 5 + [1] * 5] * 0.6 + 0.2, truth)
    rows = [large.named("val"), even.named("val")]
    best = {
        by: max(rows, key=lambda row: rank(row, by)) for by in ("accuracy", "macro_f1", "balanced_accuracy", "loss")
    }
    assert best["accuracy"] is rows[0]
    assert best["balanced_accuracy"] is rows[1]
    assert best["macro_f1"] is rows[1]
    assert best["loss"] is rows[0]
    equal = dataclasses.replace(large, loss=large.loss - 0.1).named("val")
    assert rank(equal, "accuracy") > rank(rows[0], "accuracy")
