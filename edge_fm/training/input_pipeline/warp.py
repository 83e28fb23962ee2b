"""Rotation and zoom of a whole batch in one gather, where an imaging library takes an image at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def warp(
    images: NDArray[np.uint8], angles: NDArray[np.float32], scales: NDArray[np.float32], *, fill: int = 0
) -> NDArray[np.uint8]:
    """Turn and scale each image about its centre, with bilinear interpolation.

    Args:
        images: uint8 `[N,H,W,C]`; never written to.
        angles: float32 `[N]`, radians, counter-clockwise as a person sees it.
        scales: float32 `[N]`, above 0; 2 shows everything twice as large.
        fill: value of everything outside an image.

    Returns:
        uint8 `[N,H,W,C]`.

    Example:
        >>> import numpy as np
        >>> from edge_fm.training.input_pipeline.warp import warp
        >>> corner = np.zeros((1, 3, 3, 1), np.uint8)
        >>> corner[0, 0, 0] = 255
        >>> warp(corner, np.float32([np.pi / 2]), np.float32([1.0]))[0, :, :, 0].tolist()
        [[0, 0, 0], [0, 0, 0], [255, 0, 0]]
    """
    count, height, width, channels = images.shape
    # A frame of one pixel: what falls outside is taken from it.
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=fill)
    centre = np.array([[(height - 1) / 2], [(width - 1) / 2]], np.float32)
    grid = np.indices((height, width), np.float32).reshape(2, -1) - centre
    cos, sin = np.cos(angles) / scales, np.sin(angles) / scales
    # Where each pixel of the result comes from, rows first: the inverse of what is asked for. [N,2,H*W]
    turn = np.stack([np.stack([cos, sin], 1), np.stack([-sin, cos], 1)], 1).astype(np.float32)
    source = turn @ grid + (centre + 1)
    np.clip(source[:, 0], 0, height + 1, out=source[:, 0])
    np.clip(source[:, 1], 0, width + 1, out=source[:, 1])
    # The last pair of rows (columns) of the frame, not one beyond it; whole numbers as far as float32 cannot tell.
    near = np.minimum(np.floor(source + 1e-4), np.array([[height], [width]], np.float32))
    share = np.clip(source - near, 0, 1)
    row = width + 2
    corner = (near[:, 0] * row + near[:, 1]).astype(np.int32)
    corner += (np.arange(count, dtype=np.int32) * ((height + 2) * row))[:, None]
    down, right = share[:, 0], share[:, 1]
    warped = np.empty((count, height * width, channels), np.uint8)
    for channel in range(channels):
        pixels = framed[..., channel].ravel()
        above = _between(pixels.take(corner), pixels.take(corner + 1), right)
        below = _between(pixels.take(corner + row), pixels.take(corner + (row + 1)), right)
        warped[..., channel] = np.rint(above + (below - above) * down)
    return warped.reshape(images.shape)


def _between(left: NDArray[np.uint8], right: NDArray[np.uint8], share: NDArray[np.float32]) -> NDArray[np.float32]:
    start = left.astype(np.float32)
    return start + (right - start) * share
