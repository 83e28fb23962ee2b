"""Photo-like training images: what changes, what never does, and what a recipe may name."""

import dataclasses

import numpy as np
import pytest

from edge_fm.data import load_dataset
from edge_fm.training import AugmentationPart, Recipe, TrainingPart
from edge_fm.training.input_pipeline.batches import epoch_batches
from edge_fm.training.input_pipeline.photo_augmentation import photo_classes, photograph
from edge_fm_runtime.errors import RecipeError

DATASET = load_dataset("fashion-mnist-mini")
IMAGES, LABELS = DATASET.train.images[:200], DATASET.train.labels[:200]
EVERY = np.ones(len(IMAGES), np.bool_)


def test_the_generator_decides_everything():
    made = [photograph(IMAGES, np.random.default_rng(seed), spread=EVERY, paired=EVERY) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(made[0], made[1])
    assert (made[0] != made[2]).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("shape", [(5, 28, 28, 1), (3, 20, 33, 3), (1, 1, 1, 1), (2, 1, 9, 3), (0, 28, 28, 1)])
@pytest.mark.parametrize("fill", [0, 255, 114])
@pytest.mark.parametrize("value", [0, 114, 255, None])
def test_any_image_of_any_size_comes_back_in_its_shape(shape, fill, value):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, shape, np.uint8) if value is None else np.full(shape, value, np.uint8)
    before, marks = images.copy(), np.ones(len(images), np.bool_)
    out = photograph(images, rng, fill=fill, spread=marks, paired=marks)
    assert out.shape == shape
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(images, before)


def test_what_is_around_the_object_is_fill_and_the_object_stays_on_the_canvas():
    images = 255 - IMAGES  # the dataset's polarity turned: objects stand on 255
    out = photograph(images, np.random.default_rng(0), fill=255)
    assert 0.1 < np.mean(out == 255) < 0.8
    assert ((out < 250).sum(axis=(1, 2, 3)) > 20).mean() > 0.98


def test_brightness_is_drawn_anew():
    out = photograph(IMAGES, np.random.default_rng(0)).astype(float)
    levels = np.array([image[image > 5].mean() for image in out])
    assert np.percentile(levels, 10) < 100
    assert np.percentile(levels, 90) > 170


def test_sides_spread_make_objects_wider_and_pairs_have_two_halves():
    tops = DATASET.train.images[DATASET.train.labels == DATASET.label_names.index("Pullover")]
    marks = np.ones(len(tops), np.bool_)
    plain, spread = (
        photograph(tops, np.random.default_rng(0), spread=which) > 20 for which in (np.zeros_like(marks), marks)
    )
    wide = [np.mean(image.any(axis=1).sum(axis=1) / image.any(axis=2).sum(axis=1)) for image in (plain, spread)]
    assert wide[1] > 1.1 * wide[0]

    shoes = DATASET.train.images[DATASET.train.labels == DATASET.label_names.index("Sneaker")]
    paired = photograph(shoes, np.random.default_rng(0), paired=np.ones(len(shoes), np.bool_))[..., 0] > 20
    single = photograph(shoes, np.random.default_rng(0))[..., 0] > 20
    square = [
        np.median(shot.any(axis=1).sum(axis=1) / np.maximum(shot.any(axis=2).sum(axis=1), 1))
        for shot in (paired, single)
    ]
    assert square[0] < 1.4 < square[1]  # two that lie side by side fill a square; one is long
    assert paired.mean() > 1.2 * single.mean()


def test_a_share_of_each_batch_is_photographed_in_clean_epochs_too():
    names = DATASET.label_names
    part = AugmentationPart(shift=2, photo=0.5, photo_spread=("Pullover",), photo_paired=("Sneaker",), clean_epochs=1)
    recipe = Recipe(training=TrainingPart(epochs=1, batch_size=64), augmentation=part)
    without = dataclasses.replace(recipe, augmentation=AugmentationPart(clean_epochs=1))
    shot, plain = (
        epoch_batches(IMAGES, LABELS, r, classes=len(names), epoch=0, label_names=names)[0] for r in (recipe, without)
    )
    changed = (shot[0] != plain[0]).any(axis=(1, 2, 3))
    assert changed[:32].all()
    assert not changed[32:].any()
    np.testing.assert_array_equal(shot[1], plain[1])


def test_a_label_that_the_data_does_not_have_is_an_error_that_names_the_nearest():
    with pytest.raises(RecipeError, match="photo_spread names 'Pulover'") as caught:
        photo_classes(AugmentationPart(photo=0.5, photo_spread=("Pulover",)), DATASET.label_names)
    assert "Pullover" in caught.value.hint


def test_names_without_a_share_and_impossible_shares_are_errors():
    with pytest.raises(RecipeError, match="photo is 0"):
        AugmentationPart(photo_paired=("Sneaker",))
    with pytest.raises(RecipeError, match=r"photo is 1\.5"):
        AugmentationPart(photo=1.5)
