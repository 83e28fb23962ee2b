"""Labels to check: found among predictions, named by file, shown on the page; and what would have helped a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_fm.evaluation import evaluate_probabilities
from edge_fm.evaluation.label_section import label_section
from edge_fm.training import AugmentationPart, Recipe, TrainingPart
from edge_fm.training.run.advice import advice_of
from edge_fm.training.run.selection import Scores
from edge_fm_runtime.parity.label_suspects import LISTED, LabelSuspect, label_suspects

NAMES = ("bag", "coat", "boot")


def _predictions(wrong: list[int], count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Predictions that are surely right, and labels of which some are wrong."""
    truth = np.arange(count) % 3
    labels = truth.copy()
    labels[wrong] = (truth[wrong] + 1) % 3
    probabilities = np.full((count, 3), 0.05)
    probabilities[np.arange(count), truth] = 0.9
    return probabilities, labels


def test_wrong_labels_are_found_and_hard_images_are_not() -> None:
    wrong = [4, 17, 31]
    probabilities, labels = _predictions(wrong)
    probabilities[8] = [0.55, 0.05, 0.4]  # a boot that is taken for a bag, not surely
    files = [f"{number}.jpg" for number in range(60)]
    found = label_suspects(probabilities, labels, NAMES, files=files)
    assert sorted(one.index for one in found) == wrong
    first = next(one for one in found if one.index == 4)
    assert (first.label, first.predicted, first.file) == ("boot", "coat", "4.jpg")
    assert (first.score, first.label_score) == pytest.approx((0.9, 0.05))
    assert label_suspects(probabilities[:0], labels[:0], NAMES) == ()


def test_a_model_that_is_wrong_itself_makes_no_label_a_suspect() -> None:
    probabilities, labels = _predictions(list(range(0, 60, 2)))  # right on half of three classes
    assert label_suspects(probabilities, labels, NAMES) == ()
    two = np.array([[0.9, 0.1]] * 50 + [[0.1, 0.9]] * 2)
    frequent = np.array([0] * 45 + [1] * 5 + [1, 0])  # guessing the first class would be right on 46 of 52, too
    assert label_suspects(two, frequent, NAMES[:2]) == ()


def test_the_twenty_most_doubtful_are_listed() -> None:
    probabilities, labels = _predictions(list(range(0, 90, 3)), 300)
    probabilities[6] = [0.97, 0.01, 0.02]
    found = label_suspects(probabilities, labels, NAMES)
    assert len(found) == LISTED and found[0].index == 6


@pytest.mark.needs("jinja2", "matplotlib")
def test_an_evaluation_lists_them_and_the_page_shows_them() -> None:
    probabilities, labels = _predictions([5])
    files = [f"photos/{number}.jpg" for number in range(60)]
    result = evaluate_probabilities(probabilities, labels, NAMES, files=files).to_json()
    (suspect,) = result["label_suspects"]
    assert suspect["file"] == "photos/5.jpg" and suspect["label"] == "bag"
    assert result["balanced_accuracy"] == result["macro"]["recall"] and result["macro_f1"] == result["macro"]["f1"]
    shown = str(label_section(result["label_suspects"], np.zeros((60, 4, 4, 3), np.uint8)))
    assert "photos/5.jpg" in shown and shown.count("<img") == 1
    assert label_section([], np.zeros((0, 4, 4, 3), np.uint8)) is None


def _scores(accuracy: float) -> Scores:
    return Scores(accuracy, 0.5, accuracy, accuracy)


def _advice(recipe: Recipe, labels: np.ndarray, learned: float, validation: float, **more: object) -> str:
    given = {"validation_images": 500, "suspects": (), **more}
    return "\n".join(
        advice_of(recipe, labels, NAMES, learned=_scores(learned), validation=_scores(validation), **given)  # type: ignore[arg-type]
    )


def test_a_run_says_what_would_have_helped() -> None:
    even, uneven = np.arange(300) % 3, np.array([0] * 400 + [1] * 50 + [2] * 9)
    assert _advice(Recipe(), even, 0.95, 0.93) == ""
    few = _advice(Recipe(), uneven, 0.95, 0.93)
    assert "boot (9)" in few and "coat" not in few
    assert "--set training.class_weights=balanced" in few
    weighed = Recipe(training=TrainingPart(class_weights="balanced"))
    assert "class_weights" not in _advice(weighed, uneven, 0.95, 0.93)
    apart = _advice(Recipe(), even, 0.99, 0.75)
    assert "99.0% of the training images are right, 75.0%" in apart and "augmentation.shift=2" in apart
    assert "stronger augmentation" in _advice(Recipe(augmentation=AugmentationPart(crop=0.5)), even, 0.99, 0.75)
    assert "(--epochs 20)" in _advice(Recipe(), np.arange(30_000) % 3, 0.6, 0.58)
    assert "(--epochs 200)" in _advice(Recipe(), even, 0.6, 0.58), "as the warning before a run of few steps says"
    assert "edgefm crossval" in _advice(Recipe(), even, 0.95, 0.93, validation_images=20)
    suspects = tuple(LabelSuspect(i, "bag", "coat", 0.9, 0.05, f"{i}.jpg") for i in range(7))
    assert "7 labels of validation images may be wrong" in _advice(Recipe(), even, 0.95, 0.93, suspects=suspects)
    assert "0.jpg, 1.jpg" in _advice(Recipe(), even, 0.95, 0.93, suspects=suspects)


def test_the_sheet_of_a_recipe_has_a_row_for_each_operation(tmp_path: Path) -> None:
    from edge_fm.api.common.augmented_images import augmented_images
    from edge_fm.data.dataset import Split, make_dataset

    rng = np.random.default_rng(0)
    split = Split(rng.integers(0, 256, (9, 20, 24, 3), dtype=np.uint8), np.repeat(np.arange(3), 3))
    dataset = make_dataset("toys", "toys", NAMES, split, split)
    part = AugmentationPart(crop=0.5, hue=0.1, grey=0.2, flip=True, policy="rand", policy_magnitude=5, mixup=0.2)
    sheet = augmented_images(dataset, Recipe(name="mine", augmentation=part), "train", columns=4)
    rows = ("as they are", "crop 0.5", "flip", "hue 0.1", "grey 0.2", "policy rand", "mixup 0.2", "all together")
    assert sheet.label_names == rows
    assert len(sheet.train) == 4 * len(rows)
    plain, grey = sheet.train.images[:4], sheet.train.images[16:20]
    np.testing.assert_array_equal(plain, split.images[[0, 3, 6, 1]])
    assert (grey == grey[..., :1]).all(), "alone, an operation is shown on every image"
    again = augmented_images(dataset, Recipe(name="mine", augmentation=part), "train", columns=4)
    np.testing.assert_array_equal(sheet.train.images, again.train.images)
