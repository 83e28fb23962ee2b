"""A heat map laid over what a model saw."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from edge_fm_runtime.arrays import Pixels

_COLOURS = np.array([[30, 20, 120], [150, 20, 120], [230, 60, 50], [250, 170, 30], [255, 250, 160]], np.float32)
"""From little to much: each is lighter than the one before, so that the order shows without colours, too."""
_OPAQUE = 0.65
"""How much of the place with the most is covered."""


def draw_heatmap(canvas: Pixels, heatmap: npt.NDArray[np.float32]) -> Pixels:
    """Lay a heat map over an image: what speaks for the class is coloured, the more the less transparent.

    Args:
        canvas: uint8 `[H,W,1 or 3]`, what the model saw.
        heatmap: float32 `[h,w]`; what is not above 0, which speaks against the class, is left as it is.

    Returns:
        uint8 `[H,W,3]`.

    Example:
        >>> drawn = draw_heatmap(np.zeros((8, 8, 1), np.uint8), np.array([[0.0, 1.0]], np.float32))
        >>> drawn[0, 0].tolist(), drawn[0, 7].tolist()
        ([0, 0, 0], [166, 162, 104])
    """
    height, width = canvas.shape[:2]
    positive = np.maximum(heatmap, 0)
    positive = positive / max(float(positive.max()), 1e-12)
    resized = Image.fromarray(positive.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    share = np.clip(np.asarray(resized, np.float32), 0, 1)
    place = share * (len(_COLOURS) - 1)
    below = np.minimum(place.astype(np.intp), len(_COLOURS) - 2)
    part = (place - below)[..., None]
    colours = (1 - part) * _COLOURS[below] + part * _COLOURS[below + 1]
    cover = _OPAQUE * share[..., None]
    image = np.broadcast_to(canvas, (height, width, 3)).astype(np.float32)
    drawn: Pixels = np.rint((1 - cover) * image + cover * colours).astype(np.uint8)
    return drawn
