"""Orders that a seed decides.

They are drawn from the raw stream of PCG64, which NumPy promises never to change (NEP 19), so that a seed means the
same order with every version of NumPy.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def permutation(n: int, *seed: int) -> npt.NDArray[np.intp]:
    """0..n-1 in an order that the seed decides, the same with every version of NumPy."""
    return np.argsort(np.random.PCG64(list(seed)).random_raw(n), kind="stable")
