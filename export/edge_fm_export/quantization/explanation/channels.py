"""The channels of activations."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.arrays import Floats


def by_channel(values: npt.NDArray[Any], *, last: bool = False) -> tuple[Floats, Floats]:
    """Smallest and largest value of each channel, float32 `[channels]` each.

    Args:
        values: an activation. Its channels are the second side of images `[N,C,H,W]` and vectors `[N,C]`, and the last
            one of sequences `[N,T,C]`.
        last: whether they are the last side of images too.

    Example:
        >>> by_channel(np.array([[1.0, -2.0], [3.0, 0.0]]))[1].tolist()
        [3.0, 0.0]
    """
    axis = 1 if values.ndim in (2, 4) and not last else values.ndim - 1
    others = tuple(side for side in range(values.ndim) if side != axis)
    return values.min(axis=others).astype(np.float32), values.max(axis=others).astype(np.float32)
