"""Augmentation changes what it is asked to, and only by the generator it is given."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edge_fm.training import AugmentationPart, Recipe
from edge_fm.training.augmentation import augment
from edge_fm.training.batches import epoch_batches, steps_per_epoch

IMAGES = np.random.default_rng(3).integers(1, 256, (40, 10, 12, 3), dtype=np.uint8)


def test_nothing_asked_nothing_done() -> None:
    np.testing.assert_array_equal(augment(IMAGES, AugmentationPart(), np.random.default_rng(0)), IMAGES)


@pytest.mark.parametrize(
    "part",
    [
        AugmentationPart(flip=True),
        AugmentationPart(shift=2),
        AugmentationPart(erase=1.0),
        AugmentationPart(flip=True, shift=3, erase=0.5),
    ],
)
def test_the_generator_decides_everything_and_the_input_stays(part: AugmentationPart) -> None:
    before = IMAGES.copy()
    first = augment(IMAGES, part, np.random.default_rng(5))
    np.testing.assert_array_equal(first, augment(IMAGES, part, np.random.default_rng(5)))
    assert (first != augment(IMAGES, part, np.random.default_rng(6))).any()
    np.testing.assert_array_equal(IMAGES, before)
    assert (first.shape, first.dtype) == (IMAGES.shape, np.uint8)
    assert first.flags.c_contiguous


def test_flip_mirrors_about_half() -> None:
    out = augment(IMAGES, AugmentationPart(flip=True), np.random.default_rng(0))
    same = (out == IMAGES).all(axis=(1, 2, 3))
    mirrored = (out == IMAGES[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 8 < mirrored.sum() < 32


def test_shift_moves_and_fills() -> None:
    out = augment(IMAGES, AugmentationPart(shift=2), np.random.default_rng(0), fill=0)
    places = set()
    for before, after in zip(IMAGES, out, strict=True):
        found = []
        for down in range(-2, 3):
            for right in range(-2, 3):
                moved = np.zeros_like(before)
                moved[max(down, 0) : 10 + min(down, 0), max(right, 0) : 12 + min(right, 0)] = before[
                    max(-down, 0) : 10 + min(-down, 0), max(-right, 0) : 12 + min(-right, 0)
                ]
                if (moved == after).all():
                    found.append((down, right))
        assert len(found) == 1
        places.add(found[0])
    assert len(places) > 10


def test_erase_fills_one_rectangle() -> None:
    out = augment(IMAGES, AugmentationPart(erase=1.0), np.random.default_rng(0), fill=0)
    for before, after in zip(IMAGES, out, strict=True):
        gone = (after == 0).all(axis=2)
        rows, columns = np.flatnonzero(gone.any(axis=1)), np.flatnonzero(gone.any(axis=0))
        assert gone[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        np.testing.assert_array_equal(after[~gone], before[~gone])


def test_whole_batches_only_but_at_least_one() -> None:
    assert [steps_per_epoch(n, 8) for n in (1, 7, 8, 15, 16, 17)] == [1, 1, 1, 1, 2, 2]


def test_batches_are_a_function_of_seed_epoch_and_number(tiny_recipe: Recipe) -> None:
    labels = np.arange(40, dtype=np.int64) % 3

    def batches(recipe: Recipe, epoch: int) -> list[tuple[np.ndarray, np.ndarray]]:
        made = epoch_batches(IMAGES, labels, recipe, classes=3, epoch=epoch)
        return [made[index] for index in range(len(made))]

    first, again, later = batches(tiny_recipe, 0), batches(tiny_recipe, 0), batches(tiny_recipe, 1)
    other = batches(dataclasses.replace(tiny_recipe, seed=8), 0)
    assert len(first) == 5
    for (x, y), (x2, y2) in zip(first, again, strict=True):
        np.testing.assert_array_equal(x, x2)
        np.testing.assert_array_equal(y, y2)
        assert (x.dtype, y.dtype, y.shape) == (np.uint8, np.float32, (8, 3))
    assert any((a[0] != b[0]).any() for a, b in zip(first, later, strict=True))
    assert any((a[0] != b[0]).any() for a, b in zip(first, other, strict=True))


def test_the_last_epochs_see_clean_images_in_another_order(tiny_recipe: Recipe) -> None:
    recipe = dataclasses.replace(
        tiny_recipe, augmentation=AugmentationPart(flip=False, shift=2, erase=1.0, clean_epochs=1)
    )
    labels = np.arange(40, dtype=np.int64) % 3
    made = epoch_batches(IMAGES, labels, recipe, classes=3, epoch=recipe.training.epochs - 1)
    seen = np.concatenate([made[index][0] for index in range(len(made))])
    known = {image.tobytes() for image in IMAGES}
    assert {image.tobytes() for image in seen} == known
    assert (seen != IMAGES).any()
