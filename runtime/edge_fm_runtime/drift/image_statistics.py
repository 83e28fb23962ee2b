"""Numbers that describe how images look, whatever they show: light, contrast, sharpness, colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.arrays import Pixels

GREY_STATISTICS: Mapping[str, str] = {
    "brightness": "mean of the grey values",
    "contrast": "standard deviation of the grey values",
    "sharpness": "logarithm of the variation between neighbouring pixels, relative to the contrast",
    "highlights": "share of pixels with a grey value of 250 or more",
}
COLOUR_STATISTICS: Mapping[str, str] = {
    "red balance": "logarithm of the mean of red, relative to green",
    "blue balance": "logarithm of the mean of blue, relative to green",
    "saturation": "mean difference between the largest and the smallest of red, green and blue",
}
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601, as Pillow's conversion to grey."""
_CHUNK = 1 << 24
"""Values of images that are described at once."""


def image_statistics(images: Pixels) -> dict[str, npt.NDArray[np.float32]]:
    """Describe images by `GREY_STATISTICS`, and those with three channels by `COLOUR_STATISTICS`, too.

    Args:
        images: uint8 `[N,H,W,C]`, canvases as the model sees them. Of other numbers of channels than 3, the mean of
            all is the grey value.

    Returns:
        float32 `[N]` by the name of the statistic.

    Example:
        >>> found = image_statistics(np.full((2, 8, 8, 1), 100, np.uint8))
        >>> found["brightness"].tolist(), found["contrast"].tolist()
        ([100.0, 100.0], [0.0, 0.0])
    """
    step = max(1, _CHUNK // max(1, int(np.prod(images.shape[1:]))))
    parts = [_describe(np.asarray(images[i : i + step])) for i in range(0, len(images), step)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _describe(images: Pixels) -> dict[str, npt.NDArray[np.float32]]:
    values = images.astype(np.float32)
    grey = values @ _LUMA if images.shape[-1] == 3 else values.mean(axis=-1)
    flat = grey.reshape(len(grey), -1)
    mean, spread = flat.mean(axis=1), flat.std(axis=1)
    found: dict[str, npt.NDArray[Any]] = {
        "brightness": mean,
        "contrast": spread,
        "sharpness": np.log10((_steps(grey) + 1) / (np.square(spread) + 1)),
        "highlights": (flat >= 250).mean(axis=1),
    }
    if images.shape[-1] == 3:
        red, green, blue = np.moveaxis(values.mean(axis=(1, 2)), -1, 0) + 1
        found |= {
            "red balance": np.log(red / green),
            "blue balance": np.log(blue / green),
            "saturation": (values.max(axis=-1) - values.min(axis=-1)).mean(axis=(1, 2)),
        }
    return {name: value.astype(np.float32) for name, value in found.items()}


def _steps(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Mean square of the second difference across and down, `[N]`; 0 of images narrower than 3 pixels."""
    found = np.zeros(len(grey), np.float32)
    for axis in (1, 2):
        if grey.shape[axis] > 2:
            found += np.square(np.diff(grey, n=2, axis=axis)).mean(axis=(1, 2))
    return found
