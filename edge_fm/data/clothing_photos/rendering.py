"""Fashion-MNIST's images as colour images of 240 pixels: as they are, as photographed, and tinted on other grounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE = 240
BAGS, OTHERS = 450, 120
"""Images of the bags, of which there are no photos, and of each other class."""

_BAG = 8
_AS_IT_IS, _PHOTOGRAPHED, _PLAIN_GROUND = 0.3, 0.5, 0.65
# What is darker than this is the ground that Fashion-MNIST's images have.
_GROUND = 12


def select_images(labels: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Rows of the training images to render, class by class."""
    rows = [
        rng.choice(np.flatnonzero(labels == label), BAGS if label == _BAG else OTHERS, replace=False)
        for label in range(10)
    ]
    return np.concatenate(rows)


def render(
    image: npt.NDArray[np.uint8], grounds: Sequence[Image.Image], rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """One image in colour.

    Args:
        image: uint8 `[28,28]`, light on black.
        grounds: photos whose corners serve as grounds; without any, grounds are plain.
        rng: decides everything.

    Returns:
        uint8 `[240,240,3]`: in three of ten cases the image as it is, in two its negative (dark on white, as the shop
        photographed it), else the object in a random tint, at a random size and place, on a plain light ground or on
        what a photo shows in a corner.
    """
    case = rng.random()
    if case < _PHOTOGRAPHED:
        grey = _enlarged(image, SIDE)
        return np.repeat((grey if case < _AS_IT_IS else 255 - grey)[..., None], 3, axis=2)
    side = int(rng.uniform(SIDE / 2, SIDE - 4))
    shade = _enlarged(image, side).astype(np.float32) / 255
    mask = _enlarged(((image > _GROUND) * 255).astype(np.uint8), side).astype(np.float32)[..., None] / 255
    plain = case < _PLAIN_GROUND or not grounds
    canvas = np.full((SIDE, SIDE, 3), rng.uniform(200, 255), np.float32) if plain else _corner(grounds, rng)
    tint = rng.uniform(40, 255, 3) if rng.random() < 0.6 else np.full(3, rng.uniform(40, 255))
    drawn = (shade if rng.random() < 0.5 else np.clip(1.1 - shade, 0, 1))[..., None] * tint.astype(np.float32)
    top, left = rng.integers(0, SIDE - side + 1, 2)
    part = canvas[top : top + side, left : left + side]
    part[...] = part * (1 - mask) + drawn * mask
    rendered: npt.NDArray[np.uint8] = np.rint(canvas.clip(0, 255)).astype(np.uint8)
    return rendered


def _enlarged(image: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))


def _corner(grounds: Sequence[Image.Image], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """A corner of a photo, enlarged: mostly floor, bed or wall."""
    photo = grounds[int(rng.integers(len(grounds)))]
    side = int(min(photo.size) * rng.uniform(0.2, 0.37))
    left = (0, photo.width - side)[rng.integers(2)]
    top = (0, photo.height - side)[rng.integers(2)]
    cut = photo.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.array(cut.convert("RGB"), np.float32)
