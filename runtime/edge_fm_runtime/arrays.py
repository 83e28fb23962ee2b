"""The arrays that travel between the parts of the runtime."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""Images: `[N,H,W,C]`, or one `[H,W,C]`."""
Probabilities: TypeAlias = npt.NDArray[np.float32]
"""Of classes, 0..1: `[N,classes]`, or of one image `[classes]`."""
Floats: TypeAlias = npt.NDArray[np.float32]
Mask: TypeAlias = npt.NDArray[np.bool_]
"""Which pixels are meant: `[H,W]`."""
UINT8 = np.dtype(np.uint8)
"""To compare with: a comparison with `np.uint8` takes twice the time, which a small network's calls feel."""
