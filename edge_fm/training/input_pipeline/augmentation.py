"""Random changes to training images, in NumPy and Pillow, the same on every backend.

What small images need works on whole batches in NumPy; what photos need works image by image in Pillow. Keras's own
layers were measured beside them (`benchmarks/training/augmentation_speed.py`, two busy cores): on two threads they took
1.6 times as long for crops, turns and colours and 19 times for RandAugment, which computes every operation for every
image and draws those that count once for the whole batch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_fm.training.augmentation.colour import colour_images, has_colour
from edge_fm.training.augmentation.geometry import has_warp, warp_images
from edge_fm.training.augmentation.policy import apply_policy
from edge_fm.training.input_pipeline.warp import warp
from edge_fm.training.recipe import AugmentationPart

# Sides of an erased rectangle, as shares of the image's.
_ERASED = (0.1, 0.35)


def augment(
    images: NDArray[np.uint8], part: AugmentationPart, rng: np.random.Generator, *, fill: int = 0
) -> NDArray[np.uint8]:
    """Change a batch as the recipe says, in the order of `AugmentationPart`.

    Args:
        images: uint8 `[N,H,W,C]`; never written to.
        part: the recipe's [augmentation]; `clean_epochs`, `mixup` and `cutmix` are the caller's.
        rng: decides everything; what is not asked for draws nothing from it.
        fill: value of pixels that come in from outside or are erased.

    Returns:
        uint8 `[N,H,W,C]`, contiguous.

    Example:
        >>> import numpy as np
        >>> from edge_fm.training import AugmentationPart
        >>> from edge_fm.training.input_pipeline.augmentation import augment
        >>> augment(np.zeros((2, 8, 8, 1), np.uint8), AugmentationPart(shift=2), np.random.default_rng(0)).shape
        (2, 8, 8, 1)
    """
    count = len(images)
    out = images
    if has_warp(part):
        out = warp_images(out, part, rng, fill=fill)
    elif part.rotation or part.zoom:
        angles = np.deg2rad(rng.uniform(-part.rotation, part.rotation, count)).astype(np.float32)
        out = warp(out, angles, rng.uniform(1 - part.zoom, 1 + part.zoom, count).astype(np.float32), fill=fill)
    if part.shift:
        out = _shift(out, part.shift, rng, fill)
    if part.flip:
        mirrored = np.less(rng.random(count), 0.5)
        out = np.where(mirrored[:, None, None, None], out[:, :, ::-1], out)
    if part.brightness or part.contrast:
        out = _light(out, part, rng)
    if has_colour(part):
        out = colour_images(out, part, rng)
    if part.policy != "none":
        out = apply_policy(out, part, rng, fill=fill)
    if part.erase or part.cutout:
        out = out.copy() if out is images else out
        _erase(out, part.erase, rng, fill)
        _cut(out, part.cutout, rng, fill)
    return np.ascontiguousarray(out)


def _light(images: NDArray[np.uint8], part: AugmentationPart, rng: np.random.Generator) -> NDArray[np.uint8]:
    drawn = rng.uniform(-1, 1, (2, len(images), 1)).astype(np.float32)
    added, factor = 255 * part.brightness * drawn[0], 1 + part.contrast * drawn[1]
    flat = images.reshape(len(images), -1).astype(np.float32)
    mean = flat.mean(axis=1, keepdims=True)
    lit = np.rint(np.clip(flat * factor + (mean * (1 - factor) + added), 0, 255))
    pixels: NDArray[np.uint8] = lit.astype(np.uint8).reshape(images.shape)
    return pixels


def _erase(images: NDArray[np.uint8], share: float, rng: np.random.Generator, fill: int) -> None:
    if not share:
        return
    count, height, width, _ = images.shape
    low, high = _ERASED
    for index in np.flatnonzero(rng.random(count) < share):
        tall = max(1, round(height * rng.uniform(low, high)))
        wide = max(1, round(width * rng.uniform(low, high)))
        top, left = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
        images[index, top : top + tall, left : left + wide] = fill


def _cut(images: NDArray[np.uint8], side: int, rng: np.random.Generator, fill: int) -> None:
    if not side:
        return
    count, height, width, _ = images.shape
    rows = _span(rng.integers(0, height, (count,)), side, height)
    columns = _span(rng.integers(0, width, (count,)), side, width)
    images[rows[:, :, None] & columns[:, None, :]] = fill


def _span(centres: NDArray[np.int64], side: int, length: int) -> NDArray[np.bool_]:
    """Which rows (columns) of each image lie within `side` about its centre, `[N,length]`."""
    first = centres[:, None] - side // 2
    places = np.arange(length)
    return (first <= places) & (places < first + side)


def _shift(images: NDArray[np.uint8], reach: int, rng: np.random.Generator, fill: int) -> NDArray[np.uint8]:
    count, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), constant_values=fill)
    # [N, 2*reach+1, 2*reach+1, C, H, W], a view: every place where the frame can be laid.
    frames = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    down = rng.integers(0, 2 * reach + 1, count)
    right = rng.integers(0, 2 * reach + 1, count)
    shifted: NDArray[np.uint8] = frames[np.arange(count), down, right].transpose(0, 2, 3, 1)
    return shifted
