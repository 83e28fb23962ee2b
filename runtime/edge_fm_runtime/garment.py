"""Find the garment in a photo and put it on the canvas the way Fashion-MNIST was made."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from edge_fm_runtime.canvas import Pixels, place
from edge_fm_runtime.metadata import PhotoSpec

_PLAIN = 0.05 * 255
"""The dataset's own tolerance: within 5% of the background's colour is background."""


def garment_canvas(image: Image.Image, height: int, width: int, channels: int, spec: PhotoSpec) -> Pixels:
    """Trim a plain background, scale the longest edge to the canvas, sharpen, centre, and set the polarity."""
    colour = np.asarray(image.convert("RGB")).astype(np.int16)
    border = np.concatenate([colour[0], colour[-1], colour[:, 0], colour[:, -1]])
    background = np.median(border, axis=0)
    mask = np.abs(colour - background).max(axis=2) > _PLAIN
    box = _box(mask)
    part = image.convert("L" if channels == 1 else "RGB").crop(box)
    scale = min(width / part.width, height / part.height)
    size = (max(1, round(part.width * scale)), max(1, round(part.height * scale)))
    small = part.resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.UnsharpMask(1, 60, 0))
    pixels = np.array(small, dtype=np.uint8).reshape(size[1], size[0], channels)
    fill = np.full(channels, spec.fill, np.uint8)
    if channels == 1 and spec.background != "any":
        grey = background @ np.array([0.299, 0.587, 0.114])
        if (grey >= 128) == (spec.background == "dark"):
            pixels, grey = 255 - pixels, 255 - grey
        shown = np.asarray(Image.fromarray(mask * np.uint8(255)).crop(box).resize(size, Image.Resampling.BOX))
        pixels = np.where(shown[:, :, None] >= 64, pixels, fill)
    return place(pixels, height, width, spec.fill)


def _box(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return (0, 0, mask.shape[1], mask.shape[0])
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
