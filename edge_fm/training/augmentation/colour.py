"""Random changes to the colours and the sharpness of each image, by Pillow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_fm.training.augmentation.pillow_images import from_pillow, to_pillow
from edge_fm.training.recipe import AugmentationPart

# Standard deviations of Gaussian blurs, in pixels (Chen et al. 2020).
_RADII = (0.1, 2.0)


def has_colour(part: AugmentationPart) -> bool:
    """Whether a recipe asks for what `colour_images` does."""
    return bool(part.saturation or part.hue or part.grey or part.blur)


def colour_images(images: NDArray[np.uint8], part: AugmentationPart, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change saturation and hue, take the colour away, and blur, as the recipe says.

    Args:
        images: uint8 `[N,H,W,3]`; for blur alone, of any number of channels. Never written to.
        part: the recipe's [augmentation].
        rng: decides everything.

    Returns:
        uint8 `[N,H,W,C]`.
    """
    out = np.empty_like(images)
    for index, pixels in enumerate(images):
        out[index] = _coloured(pixels, part, rng)
    return out


def _coloured(pixels: NDArray[np.uint8], part: AugmentationPart, rng: np.random.Generator) -> NDArray[np.uint8]:
    from PIL import Image, ImageEnhance, ImageFilter

    planes = to_pillow(pixels)
    if part.saturation:
        factor = rng.uniform(1 - part.saturation, 1 + part.saturation)
        planes = [ImageEnhance.Color(plane).enhance(factor) for plane in planes]
    if part.hue:
        turn = round(256 * rng.uniform(-part.hue, part.hue)) % 256
        hsv = np.array(planes[0].convert("HSV"))
        hsv[..., 0] += np.uint8(turn)  # a circle of 256 steps
        planes = [Image.fromarray(hsv, mode="HSV").convert("RGB")]
    if part.grey and rng.random() < part.grey:
        planes = [planes[0].convert("L").convert("RGB")]
    if part.blur and rng.random() < part.blur:
        radius = rng.uniform(*_RADII)
        planes = [plane.filter(ImageFilter.GaussianBlur(radius)) for plane in planes]
    return from_pillow(planes)
