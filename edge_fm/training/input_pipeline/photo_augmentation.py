"""Make catalogue images look like photos that were cut out: whole batches in NumPy, the same on every backend.

What a phone photo is once a segmentation has put it on the canvas: turned a little, spread out, of any brightness and
print, lit from a side, with bits of the floor left on and bits of the object cut off. Training images with all of
that done to them at random teach a model to live with it (domain randomization, Tobin et al. 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_fm.training.input_pipeline import photo_shading as shading
from edge_fm.training.input_pipeline.photo_geometry import draw_warp, resample
from edge_fm.training.recipe import AugmentationPart, nearest
from edge_fm_runtime.errors import RecipeError

# How far (of 255) from the fill a pixel is that belongs to the object.
_OUTSIDE = 6
_PAIR_SHARE = 0.75
_SOLED_SHARE = 0.7


@dataclass(frozen=True, eq=False)
class PhotoClasses:
    """What `photograph` may do to which class: bool `[classes]` each."""

    spread: NDArray[np.bool_]
    paired: NDArray[np.bool_]


def photograph(
    images: NDArray[np.uint8],
    rng: np.random.Generator,
    *,
    fill: int = 0,
    mirror: bool = True,
    spread: NDArray[np.bool_] | None = None,
    paired: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """Change every image as photographing and cutting out its object might have.

    Args:
        images: uint8 `[N,H,W,C]` of objects that stand on `fill`; never written to. Where they stand on anything
            else, the whole image is taken as the object.
        rng: decides everything.
        fill: what is not object.
        mirror: may they be mirrored left to right?
        spread: bool `[N]`: whose sides may turn outwards, as the sleeves of a garment laid out do. None for no image.
        paired: bool `[N]`: which may be doubled, and turned as far as one likes, as shoes are. None for no image.

    Returns:
        uint8 `[N,H,W,C]`, contiguous.

    Example:
        >>> import numpy as np
        >>> from edge_fm.training.input_pipeline.photo_augmentation import photograph
        >>> photograph(np.full((2, 8, 8, 1), 9, np.uint8), np.random.default_rng(0)).shape
        (2, 8, 8, 1)
    """
    count = len(images)
    if count == 0:
        return images.copy()
    none = np.zeros(count, np.bool_)
    spread, paired = (none if marks is None else marks for marks in (spread, paired))
    doubled = paired & (rng.random(count) < _PAIR_SHARE)
    mask = _silhouette(images, fill)
    soled = doubled & (rng.random(count) < _SOLED_SHARE)
    # Seen from above, a sole closes what straps leave open.
    mask[soled] = _closed(mask[soled], axis=1)
    warp = draw_warp(mask, rng, mirror=mirror, spread=spread & ~doubled, free=paired, doubled=doubled)
    pixels, soft = resample(images, mask, warp)
    pixels = shading.relight(pixels, soft, rng)
    left, background = shading.leftovers(soft.shape, rng)
    soft = shading.ragged(soft, rng)
    pixels = np.where(left[..., None] & (soft < 0.5)[..., None], background, pixels)
    soft = np.maximum(soft, left)
    soft = soft * ~shading.bites(soft.shape, rng)
    pixels = shading.focus(pixels, rng)
    alpha = soft[..., None]
    out: NDArray[np.uint8] = np.clip(alpha * pixels + (1 - alpha) * np.float32(fill) + 0.5, 0, 255).astype(np.uint8)
    return out


def photo_classes(part: AugmentationPart, label_names: Sequence[str]) -> PhotoClasses:
    """Look up the labels that a recipe names for its photo-like images.

    Args:
        part: the recipe's [augmentation].
        label_names: of the dataset's classes.

    Raises:
        RecipeError: the dataset has no such label.
    """
    marks = []
    for key, names in (("photo_spread", part.photo_spread), ("photo_paired", part.photo_paired)):
        missing = [name for name in names if name not in label_names]
        if missing:
            raise RecipeError(
                f"[augmentation] {key} names {', '.join(map(repr, missing))}, which the data does not have. "
                f"Its labels: {', '.join(label_names[:20])}.",
                hint=nearest(missing[0], label_names) or f"Leave {key} out for other data.",
            )
        marks.append(np.array([name in names for name in label_names], np.bool_))
    return PhotoClasses(*marks)


def _silhouette(images: NDArray[np.uint8], fill: int) -> NDArray[np.bool_]:
    """Bool `[N,H,W]`: what is not fill, and what has such pixels on all four sides."""
    away = np.abs(images.astype(np.int16) - fill).max(axis=3)
    solid = np.greater(away, _OUTSIDE)
    enclosed = _closed(solid, axis=1) & _closed(solid, axis=2)
    # An image of nothing but fill is taken whole, so that all that follows has something to stand on.
    empty = np.logical_not(np.any(enclosed, axis=(1, 2)))
    whole: NDArray[np.bool_] = enclosed | empty[:, None, None]
    return whole


def _closed(mask: NDArray[np.bool_], *, axis: int) -> NDArray[np.bool_]:
    """Bool `[N,H,W]` with the gaps along an axis filled."""
    ahead: NDArray[np.bool_] = np.logical_or.accumulate(mask, axis=axis)
    behind: NDArray[np.bool_] = np.logical_or.accumulate(np.flip(mask, axis), axis=axis)
    return ahead & np.flip(behind, axis)
