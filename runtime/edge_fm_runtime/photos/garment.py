"""Put the garment of a photo on the canvas the way Fashion-MNIST was made (arXiv 1708.07747, section 2)."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from edge_fm_runtime.arrays import Floats, Mask, Pixels
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.photos.canvas import border_median, place, set_tone
from edge_fm_runtime.photos.segmentation import find_garment

_SHARPEN = 30
"""Per cent. The dataset was sharpened after subsampling; averaging with bicubic weights already sharpens in part."""

_COLOURLESS = 8
_BLACK = 24


def garment_canvas(image: Image.Image, height: int, width: int, channels: int, spec: PhotoSpec) -> Pixels:
    """Find the garment, scale its longest edge to the canvas, sharpen, centre, fill the rest, set the polarity.

    Dark cloth becomes light where the model knows dark backgrounds, as in the dataset, and has the dataset's contrast
    whatever light the photo was taken in; colours are never negated.

    Args:
        image: mode L or RGB.
        height: of the canvas, in pixels.
        width: of the canvas, in pixels.
        channels: of the canvas, 1 (grey) or 3 (RGB).
        spec: polarity and fill; what is not garment becomes `fill`.
    """
    image = image.convert("RGB")
    soft = find_garment(image)
    left, top, right, bottom = mask_box = _box_of(soft > 0.5)
    scale_x, scale_y = image.width / soft.shape[1], image.height / soft.shape[0]
    box = (left * scale_x, top * scale_y, min(right * scale_x, image.width), min(bottom * scale_y, image.height))
    scale = min(width / (box[2] - box[0]), height / (box[3] - box[1]))
    size = (max(1, round((box[2] - box[0]) * scale)), max(1, round((box[3] - box[1]) * scale)))
    mask = np.asarray(Image.fromarray(soft).resize(size, Image.Resampling.BOX, box=mask_box))
    alpha = np.clip((mask - 0.5) * 3 + 0.5, 0, 1)[:, :, None]
    part = image.convert("L" if channels == 1 else "RGB").resize(size, Image.Resampling.BICUBIC, box=box)
    pixels = np.asarray(part.filter(ImageFilter.UnsharpMask(1, _SHARPEN, 0))).reshape(size[1], size[0], channels)
    if channels == 1 and spec.background != "any":
        pixels = _grey_as_the_dataset(pixels, alpha[..., 0] > 0.5, image, dark=spec.background == "dark")
    mixed = alpha * pixels + (1 - alpha) * spec.fill
    return place(np.round(mixed).astype(np.uint8), height, width, spec.fill)


def _grey_as_the_dataset(pixels: Pixels, inside: Mask, image: Image.Image, *, dark: bool) -> Floats:
    """Polarity and tone, `[h,w,1]`; what was negated already has the dataset's tone, too."""
    light = pixels.astype(np.float32)
    if not _is_negative(image):
        light = set_tone(255 - light[..., 0], inside)[..., None]
    negated: Floats = light if dark else 255 - light
    return negated


def _is_negative(image: Image.Image) -> bool:
    """Whether this image was negated already, such as an enlarged image of the dataset: colourless, on black.

    In colour or on any other ground it is a photo: dark cloth is dark.
    """
    thumbnail = np.asarray(image.resize((32, 32), Image.Resampling.BOX)).astype(np.int16)
    return bool(np.ptp(thumbnail, axis=2).max() <= _COLOURLESS and border_median(thumbnail).max() <= _BLACK)


def _box_of(mask: Mask) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what a mask holds."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
