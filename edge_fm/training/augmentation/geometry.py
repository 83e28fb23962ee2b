"""Random crops, rotation, zoom and perspective of each image, in one resampling by Pillow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_fm.training.augmentation.pillow_images import from_pillow, to_pillow
from edge_fm.training.recipe import AugmentationPart

if TYPE_CHECKING:
    from PIL import Image

# Width by height of a random crop, relative to the image's own (Szegedy et al. 2015).
_RATIOS = (3 / 4, 4 / 3)
_TRIES = 10


def has_warp(part: AugmentationPart) -> bool:
    """Whether a recipe asks for what `warp_images` alone does."""
    return bool(part.crop or part.perspective)


def warp_images(
    images: NDArray[np.uint8], part: AugmentationPart, rng: np.random.Generator, *, fill: int
) -> NDArray[np.uint8]:
    """Crop, turn, scale and tilt each image as the recipe says.

    Args:
        images: uint8 `[N,H,W,C]`; never written to.
        part: the recipe's [augmentation].
        rng: decides everything.
        fill: value of pixels that come in from outside.

    Returns:
        uint8 `[N,H,W,C]`.
    """
    out = np.empty_like(images)
    for index, pixels in enumerate(images):
        out[index] = _warped(pixels, part, rng, fill)
    return out


def _warped(
    pixels: NDArray[np.uint8], part: AugmentationPart, rng: np.random.Generator, fill: int
) -> NDArray[np.uint8]:
    from PIL import Image

    height, width = pixels.shape[:2]
    left, top, wide, tall = _draw_crop(height, width, part.crop, rng)
    turned = part.rotation or part.zoom
    if not turned and not part.perspective:
        box = (left, top, left + wide, top + tall)
        return from_pillow(
            [plane.resize((width, height), Image.Resampling.BILINEAR, box=box) for plane in to_pillow(pixels)]
        )
    # Each matrix takes a place of the result to the place where it comes from.
    matrix = np.array([[wide / width, 0, left], [0, tall / height, top], [0, 0, 1]])
    if turned:
        angle = math.radians(rng.uniform(-part.rotation, part.rotation))
        matrix = matrix @ _turn(angle, rng.uniform(1 - part.zoom, 1 + part.zoom), height, width)
    if part.perspective:
        matrix = matrix @ _tilt(part.perspective, height, width, rng)
    return from_pillow([_transformed(plane, matrix, fill) for plane in to_pillow(pixels)])


def _transformed(image: Image.Image, matrix: NDArray[np.float64], fill: int) -> Image.Image:
    from PIL import Image

    numbers = (matrix / matrix[2, 2]).ravel()[:8].tolist()
    affine = not any(numbers[6:])
    method, data = (Image.Transform.AFFINE, numbers[:6]) if affine else (Image.Transform.PERSPECTIVE, numbers)
    colour = (fill,) * 3 if image.mode == "RGB" else fill
    return image.transform(image.size, method, data, resample=Image.Resampling.BILINEAR, fillcolor=colour)


def _draw_crop(height: int, width: int, least: float, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Left, top, width and height of a random part of at least a share of the area; the whole where none fits."""
    if not least:
        return 0.0, 0.0, float(width), float(height)
    for _ in range(_TRIES):
        area = rng.uniform(least, 1) * height * width
        ratio = math.exp(rng.uniform(math.log(_RATIOS[0]), math.log(_RATIOS[1]))) * width / height
        wide, tall = math.sqrt(area * ratio), math.sqrt(area / ratio)
        if wide <= width and tall <= height:
            return rng.uniform(0, width - wide), rng.uniform(0, height - tall), wide, tall
    return 0.0, 0.0, float(width), float(height)


def _turn(angle: float, scale: float, height: int, width: int) -> NDArray[np.float64]:
    """A turn about the centre, counter-clockwise as a person sees it; a scale of 2 shows all twice as large."""
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    x, y = width / 2, height / 2
    return np.array([[cos, -sin, x - cos * x + sin * y], [sin, cos, y - sin * x - cos * y], [0, 0, 1]])


def _tilt(share: float, height: int, width: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The homography that takes corners, each moved inwards by up to this share of half a side, to the corners."""
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
    inwards = 1 - 2 * corners
    moved = corners + inwards * rng.uniform(0, share / 2, (4, 2))
    size = np.array([width, height])
    rows, values = [], []
    for (x, y), (u, v) in zip(moved * size, corners * size, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.append(np.linalg.solve(np.array(rows), np.array(values)), 1.0).reshape(3, 3)
