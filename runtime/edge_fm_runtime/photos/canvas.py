"""Put a whole image on a canvas: letterboxed, cut or stretched, light or dark side up."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from edge_fm_runtime.arrays import Floats, Mask, Pixels
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import PhotoError

_SHADE, _LIGHT = 47, 230
_LEAST_CONTRAST = 70


_MAX_BYTES = 128 << 20
"""As of the input of an artifact's model."""


def check_shape(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return `shape`, height, width and channels, if a photo can fill such a canvas.

    Raises:
        PhotoError: it cannot; the message names what can.
    """
    if len(shape) != 3 or min(shape) < 1:
        raise PhotoError(f"A canvas of shape {tuple(shape)} is not height, width and channels, each at least 1.")
    if shape[0] * shape[1] * shape[2] > _MAX_BYTES:
        raise PhotoError(f"A canvas of shape {tuple(shape)} has more than {_MAX_BYTES:,} bytes, the most there may be.")
    if shape[2] not in (1, 3):
        raise PhotoError(
            f"The model takes {shape[2]} channels; photos give 1 (grey) or 3 (RGB).",
            hint="Give it arrays with all its channels: an .npz file for --data, Classifier.predict_pixels in Python.",
        )
    return shape


def to_pixels(image: Image.Image, channels: int) -> Pixels:
    """The pixels of an L or RGB image, as grey (1) or RGB (3): uint8 `[H,W,channels]`."""
    pixels = np.array(image.convert("L" if channels == 1 else "RGB"), dtype=np.uint8)
    return pixels.reshape(image.height, image.width, channels)


def fit(image: Image.Image, height: int, width: int, channels: int, spec: PhotoSpec) -> Pixels:
    """Scale the whole image into the canvas and centre it on `spec.fill`."""
    scale = min(width / image.width, height / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    pixels = to_pixels(image.resize(size, Image.Resampling.BICUBIC), channels)
    return place(set_polarity(pixels, spec), height, width, spec.fill)


def crop(image: Image.Image, height: int, width: int, channels: int, spec: PhotoSpec) -> Pixels:
    """Cut the largest centred part that has the canvas's proportions, and scale it to the canvas."""
    part_width = min(float(image.width), image.height * width / height)
    part_height = min(float(image.height), image.width * height / width)
    left, top = (image.width - part_width) / 2, (image.height - part_height) / 2
    box = (left, top, left + part_width, top + part_height)
    resized = image.resize((width, height), Image.Resampling.BICUBIC, box=box)
    return set_polarity(to_pixels(resized, channels), spec)


def stretch(image: Image.Image, height: int, width: int, channels: int, spec: PhotoSpec) -> Pixels:
    """Scale the whole image to the canvas, whatever that does to its proportions."""
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    return set_polarity(to_pixels(resized, channels), spec)


def place(pixels: Pixels, height: int, width: int, fill: int) -> Pixels:
    """Centre `pixels` `[h,w,C]`, no larger than the canvas, on a canvas of `fill`."""
    canvas = np.full((height, width, pixels.shape[2]), fill, np.uint8)
    top, left = (height - pixels.shape[0]) // 2, (width - pixels.shape[1]) // 2
    canvas[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return canvas


def set_polarity(pixels: Pixels, spec: PhotoSpec) -> Pixels:
    """Negate a grey image whose border is light where the model knows dark backgrounds, or the reverse.

    Colours are never negated: no model that sees colour knows a blue shirt as an orange one.
    """
    if spec.background == "any" or pixels.shape[2] != 1:
        return pixels
    light = bool(border_median(pixels)[0] >= 128)
    return np.subtract(np.uint8(255), pixels) if light == (spec.background == "dark") else pixels


def border_median(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The median of the outermost pixels of `[H,W,C]`, for each channel.

    By sorting: `numpy.median` imports numpy.ma on first use, a tenth of the time in which a photo should be classified.
    """
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    middle: npt.NDArray[Any] = np.sort(border, axis=0)[len(border) // 2]
    return middle


def set_tone(pixels: Floats, inside: Mask) -> Floats:
    """Give an object the contrast and the brightness of Fashion-MNIST's, whatever light it was photographed in.

    Of the object's pixels the 5th percentile becomes 47 and the 95th 230: the medians of the classes' medians over that
    dataset's images. Contrast grows to 2.6 times at most, so that plain cloth does not turn into noise.

    Args:
        pixels: float32 0..255 `[H,W]`, grey, a light object on a dark ground.
        inside: bool `[H,W]`, what is object; an image of nothing but ground stays as it is.

    Returns:
        float32 0..255 `[H,W]`.
    """
    if not inside.any():
        return pixels
    low, high = np.percentile(pixels[inside], (5, 95), method="lower")
    gain = (_LIGHT - _SHADE) / max(float(high - low), _LEAST_CONTRAST)
    toned: Floats = np.clip((pixels - high) * np.float32(gain) + np.float32(_LIGHT), 0, 255)
    return toned
