"""Augmentation of colour photos: what each key does, image by image, and what it leaves alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edge_fm.training import AugmentationPart
from edge_fm.training.augmentation.mixing import mix
from edge_fm.training.augmentation.policy import OPERATIONS
from edge_fm.training.input_pipeline.augmentation import augment
from edge_fm.training.input_pipeline.checks import check_augmentation
from edge_fm_runtime.errors import RecipeError, TrainingError

PARTS = {
    "crop": AugmentationPart(crop=0.3),
    "perspective": AugmentationPart(perspective=0.3),
    "all of geometry": AugmentationPart(crop=0.5, rotation=20, zoom=0.1, perspective=0.2),
    "saturation": AugmentationPart(saturation=0.6),
    "hue": AugmentationPart(hue=0.2),
    "grey": AugmentationPart(grey=0.5),
    "blur": AugmentationPart(blur=0.8),
    "trivial": AugmentationPart(policy="trivial"),
    "rand": AugmentationPart(policy="rand"),
}


def _photos(count: int = 12, channels: int = 3) -> np.ndarray:
    """Smooth coloured images, as photos are; every pixel above 40."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:24, 0:32] / 32
    waves = rng.uniform(1, 6, (count, channels, 2))
    angles = waves[:, :, 0, None, None] * x + waves[:, :, 1, None, None] * y
    return np.ascontiguousarray((150 + 80 * np.sin(angles)).astype(np.uint8).transpose(0, 2, 3, 1))


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_the_generator_decides_everything_image_by_image(part: AugmentationPart) -> None:
    images = _photos()
    before = images.copy()
    first = augment(images, part, np.random.default_rng(5))
    np.testing.assert_array_equal(first, augment(images, part, np.random.default_rng(5)))
    assert (first != augment(images, part, np.random.default_rng(6))).any()
    np.testing.assert_array_equal(images, before)
    assert (first.shape, first.dtype, first.flags.c_contiguous) == (images.shape, np.uint8, True)
    same = augment(np.repeat(images[:1], 30, axis=0), part, np.random.default_rng(0))
    assert len(np.unique(same.reshape(30, -1), axis=0)) > 1, "one image of a batch is changed as all others are"


def test_a_crop_shows_a_part_and_nothing_from_outside() -> None:
    images = _photos()
    cropped = augment(images, AugmentationPart(crop=0.3), np.random.default_rng(0), fill=0)
    assert cropped.min() > 40
    assert (cropped != images).any(axis=(1, 2, 3)).all()


def test_turns_and_perspective_bring_in_the_fill_and_keep_the_middle() -> None:
    plain = np.full((8, 24, 32, 3), 200, np.uint8)
    turned = augment(plain, AugmentationPart(crop=0.999, rotation=45), np.random.default_rng(0), fill=7)
    assert (turned[:, 12, 16] == 200).all()
    assert (turned == 7).any()
    tilted = augment(plain, AugmentationPart(perspective=0.4), np.random.default_rng(0), fill=7)
    assert (tilted[:, 12, 16] == 200).all()
    corners = tilted[:, [0, 0, -1, -1], [0, -1, -1, 0], 0]
    assert (corners == 7).any(axis=0).all(), "every corner moves inwards, by an amount of its own"
    assert 0 < (tilted[:, 0] == 7).mean() < 1


def test_geometry_turns_the_way_that_small_images_do() -> None:
    images = _photos(1)
    by_batch = augment(images, AugmentationPart(rotation=30), np.random.default_rng(3)).astype(int)
    angle = np.random.default_rng(3).uniform(-30, 30, 1)[0]

    class Fixed(np.random.Generator):
        def uniform(self, low: float, high: float, size: object = None) -> float:  # type: ignore[override]
            return angle if (low, high) == (-30, 30) else (low + high) / 2

    part = AugmentationPart(perspective=1e-9, rotation=30)
    by_image = augment(images, part, Fixed(np.random.PCG64(0))).astype(int)
    inner = (slice(None), slice(6, 18), slice(8, 24))
    assert abs(by_batch[inner] - by_image[inner]).max() <= 3


def test_colours_change_and_light_stays() -> None:
    images = _photos()
    grey = augment(images, AugmentationPart(grey=1.0), np.random.default_rng(0))
    assert (grey == grey[..., :1]).all()
    hue = augment(images, AugmentationPart(hue=0.5), np.random.default_rng(0)).astype(int)
    assert abs(hue.max(axis=3) - images.max(axis=3)).max() <= 3, "the brightest channel is the value of a colour"
    assert (abs(hue - images).max(axis=(1, 2, 3)) > 5).sum() >= 10
    no_colour = np.repeat(images[..., :1], 3, axis=3)
    coloured = augment(no_colour, AugmentationPart(saturation=0.9, hue=0.5), np.random.default_rng(0))
    assert abs(coloured.astype(int) - no_colour).max() <= 1


def test_blur_smooths_some_images() -> None:
    sharp = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 1), dtype=np.uint8)
    blurred = augment(sharp, AugmentationPart(blur=0.5), np.random.default_rng(0))
    changed = (blurred != sharp).any(axis=(1, 2, 3))
    assert 8 < changed.sum() < 32
    assert blurred[changed].std() < sharp[changed].std()


@pytest.mark.parametrize("channels", [1, 4])
def test_geometry_takes_any_number_of_channels(channels: int) -> None:
    images = _photos(4, channels)
    part = AugmentationPart(crop=0.4, perspective=0.2, blur=1.0)
    assert augment(images, part, np.random.default_rng(0)).shape == images.shape


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("policy", ["trivial", "rand"])
def test_each_operation_of_a_policy_keeps_the_size_and_does_something(name: str, policy: str) -> None:
    from PIL import Image

    row = OPERATIONS[name]
    amount = row.trivial if policy == "trivial" else row.rand
    pixels = _photos(1)[0] // 2  # of little contrast, so that contrast can be stretched
    changed = row.apply(Image.fromarray(pixels), amount, 0)
    assert (changed.size, changed.mode) == ((32, 24), "RGB")
    assert (np.asarray(changed) == pixels).all() == (name == "identity")
    if row.signed:
        assert (np.asarray(row.apply(Image.fromarray(pixels), -amount, 0)) != np.asarray(changed)).any()


def test_cutmix_takes_a_rectangle_and_its_share_of_the_target() -> None:
    images = np.repeat(np.arange(25, dtype=np.uint8), 10 * 12).reshape(25, 10, 12, 1)
    targets, before = np.eye(25, dtype=np.float32), images.copy()
    mixed, soft = mix(images, targets, AugmentationPart(cutmix=1.0), np.random.default_rng(0))
    np.testing.assert_array_equal(images, before)
    shares = np.stack([(mixed == number).mean(axis=(1, 2, 3)) for number in range(25)], axis=1)
    np.testing.assert_allclose(soft, shares, atol=1e-6)
    assert ((soft > 0).sum(axis=1) == 2).sum() > 12


def test_with_mixup_and_cutmix_a_batch_gets_one_of_them() -> None:
    images = np.repeat(np.arange(0, 200, 100, dtype=np.uint8), 64).reshape(2, 8, 8, 1)
    part, targets = AugmentationPart(mixup=1.0, cutmix=1.0), np.eye(2, dtype=np.float32)
    between = [
        ((mixed > 0) & (mixed < 100)).any()
        for mixed, _ in (mix(images, targets, part, np.random.default_rng(seed)) for seed in range(40))
    ]
    assert 5 < sum(between) < 35


def test_colours_of_grey_images_cannot_be_changed() -> None:
    part = AugmentationPart(hue=0.1, policy="trivial")
    with pytest.raises(TrainingError, match=r"hue, policy change colours.*1 channel") as caught:
        check_augmentation(part, (28, 28, 1))
    assert "--set augmentation.hue=0 --set augmentation.policy=none" in (caught.value.hint or "")
    check_augmentation(part, (28, 28, 3))
    check_augmentation(AugmentationPart(crop=0.5, blur=0.5), (28, 28, 1))


@pytest.mark.parametrize(
    "change",
    [{"crop": 1.0}, {"perspective": -0.1}, {"hue": 0.6}, {"grey": 2.0}, {"policy": "auto"}, {"policy_magnitude": 31}],
)
def test_impossible_values_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=next(iter(change))):
        dataclasses.replace(AugmentationPart(), **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(("side", "usual"), [(1, 0), (2, 1), (28, 3)])
def test_a_shift_out_of_the_frame_is_refused_with_one_that_works(side: int, usual: int) -> None:
    with pytest.raises(TrainingError, match="would leave the frame") as error:
        check_augmentation(AugmentationPart(shift=28), (side, side, 1))
    assert (error.value.hint or "").endswith(f"--set augmentation.shift={usual}")
    check_augmentation(AugmentationPart(shift=usual), (side, side, 1))
