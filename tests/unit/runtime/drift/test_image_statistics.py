"""Numbers of images: each follows what it is named for, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from edge_fm_runtime.drift.image_statistics import COLOUR_STATISTICS, GREY_STATISTICS, image_statistics


def textured(channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(60, 180, (3, 16, 16, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_statistics_of_each_number_of_channels(channels: int) -> None:
    found = image_statistics(textured(channels))
    assert list(found) == [*GREY_STATISTICS, *(COLOUR_STATISTICS if channels == 3 else {})]
    assert all(values.shape == (3,) and values.dtype == np.float32 for values in found.values())
    assert all(np.isfinite(values).all() for values in found.values())


def test_each_change_shows_where_it_should() -> None:
    images = textured(3)
    plain = image_statistics(images)
    dark = image_statistics(images // 2)
    assert (dark["brightness"] < 0.6 * plain["brightness"]).all() and (dark["contrast"] < plain["contrast"]).all()
    np.testing.assert_allclose(dark["sharpness"], plain["sharpness"], atol=0.02)
    smooth = image_statistics(
        ((images.astype(int) + np.roll(images, 1, 1) + np.roll(images, 1, 2)) // 3).astype(np.uint8)
    )
    assert (smooth["sharpness"] < plain["sharpness"] - 0.1).all()
    red = image_statistics((images * np.array([1.2, 1, 0.8])).astype(np.uint8))
    assert (red["red balance"] > plain["red balance"] + 0.1).all()
    assert (red["blue balance"] < plain["blue balance"] - 0.1).all()
    grey = image_statistics(images[..., :1].repeat(3, axis=-1))
    assert (grey["saturation"] == 0).all() and (plain["saturation"] > 10).all()
    assert (image_statistics(np.maximum(images, 250))["highlights"] == 1).all() and (plain["highlights"] == 0).all()


def test_images_of_one_pixel_or_one_value() -> None:
    for shape in ((2, 1, 1, 1), (2, 2, 5, 3), (1, 9, 9, 1)):
        found = image_statistics(np.zeros(shape, np.uint8))
        assert all((values == 0).all() for values in found.values())
