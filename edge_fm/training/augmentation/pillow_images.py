"""Arrays as Pillow's images and back; other numbers of channels than one and three go plane by plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image


def to_pillow(pixels: NDArray[np.uint8]) -> list[Image.Image]:
    """One RGB image of three channels; else a grey image for each channel of uint8 `[H,W,C]`."""
    from PIL import Image

    if pixels.shape[2] == 3:
        return [Image.fromarray(np.ascontiguousarray(pixels))]
    return [Image.fromarray(np.ascontiguousarray(pixels[..., channel])) for channel in range(pixels.shape[2])]


def from_pillow(planes: Sequence[Image.Image]) -> NDArray[np.uint8]:
    """uint8 `[H,W,C]` of what `to_pillow` returned."""
    arrays = [np.asarray(plane) for plane in planes]
    return arrays[0] if arrays[0].ndim == 3 else np.stack(arrays, axis=2)
