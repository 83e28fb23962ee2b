"""Augmentation changes what it is asked to, and only by the generator it is given."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from edge_fm.training import AugmentationPart, Recipe
from edge_fm.training.input_pipeline.augmentation import augment
from edge_fm.training.input_pipeline.batches import epoch_batches, steps_per_epoch
from edge_fm.training.input_pipeline.warp import warp

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
        AugmentationPart(rotation=20),
        AugmentationPart(zoom=0.2),
        AugmentationPart(brightness=0.2),
        AugmentationPart(contrast=0.4),
        AugmentationPart(cutout=4),
        AugmentationPart(
            rotation=9, zoom=0.1, shift=2, flip=True, brightness=0.1, contrast=0.2, erase=0.5, cutout=5, mixup=0.3
        ),
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


def test_cutout_erases_a_square_that_the_border_may_cut() -> None:
    out = augment(IMAGES, AugmentationPart(cutout=5), np.random.default_rng(0), fill=0)
    sizes = set()
    for before, after in zip(IMAGES, out, strict=True):
        gone = (after == 0).all(axis=2)
        rows, columns = np.flatnonzero(gone.any(axis=1)), np.flatnonzero(gone.any(axis=0))
        tall, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert gone[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert tall == 5 or rows[0] == 0 or rows[-1] == 9
        assert wide == 5 or columns[0] == 0 or columns[-1] == 11
        np.testing.assert_array_equal(after[~gone], before[~gone])
        sizes.add((tall, wide))
    assert (5, 5) in sizes
    assert len(sizes) > 3


def test_light_is_a_stretch_about_the_mean_and_a_step() -> None:
    dim = (IMAGES // 2 + 50).astype(np.uint8)
    out = augment(dim, AugmentationPart(brightness=0.1, contrast=0.2), np.random.default_rng(0))
    steps, factors = [], []
    for before, after in zip(dim.reshape(40, -1).astype(float), out.reshape(40, -1), strict=True):
        factor, level = np.polyfit(before - before.mean(), after, 1)
        np.testing.assert_allclose(after, factor * (before - before.mean()) + level, atol=0.6)
        steps.append(level - before.mean())
        factors.append(factor)
    assert -25.6 < min(steps) < -10
    assert 10 < max(steps) < 25.6
    assert 0.79 < min(factors) < 0.9
    assert 1.1 < max(factors) < 1.21


def test_light_stays_within_a_byte() -> None:
    ends = np.zeros((50, 4, 4, 1), np.uint8)
    ends[:, ::2] = 255
    out = augment(ends, AugmentationPart(brightness=0.5, contrast=0.5), np.random.default_rng(0))
    assert (out[:, ::2] >= out[:, 1::2]).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_warp_agrees_with_pillow_inside_and_fills_outside(channels: int) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 20, 26, channels), dtype=np.uint8)
    angles = np.float32([0, 0, 0.3, -1.2, 0.2, np.pi / 2])
    scales = np.float32([1, 1.5, 1, 1, 0.6, 1.2])
    out = warp(images, angles, scales, fill=77)
    np.testing.assert_array_equal(out[0], images[0])
    for image, got, angle, scale in zip(images, out, angles, scales, strict=True):
        cos, sin = float(np.cos(angle) / scale), float(np.sin(angle) / scale)
        original = Image.fromarray(image[..., 0] if channels == 1 else image)
        x, y = original.width / 2, original.height / 2
        matrix = (cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y)
        outside = (77,) * channels if channels > 1 else 77

        def turned(source: Image.Image, outside: object, matrix: tuple[float, ...] = matrix) -> np.ndarray:
            made = source.transform(
                source.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=outside
            )
            return np.asarray(made).astype(int)

        expected = turned(original, outside).reshape(got.shape)
        # Pillow repeats the border where ours blends into the filling: compare what lies inside, and what lies outside.
        frame = Image.new("L", original.size, 0)
        frame.paste(255, (2, 2, original.width - 2, original.height - 2))
        inside = turned(frame, 0) == 255
        grown = turned(Image.new("L", original.size, 255), 0) == 0
        assert inside.sum() > 30
        np.testing.assert_allclose(got[inside].astype(int), expected[inside], atol=2)
        beyond = np.pad(~grown, 3)
        beyond = ~np.lib.stride_tricks.sliding_window_view(beyond, (7, 7)).any(axis=(2, 3))
        assert (got[beyond] == 77).all()


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
