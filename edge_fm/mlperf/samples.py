"""LoadGen's QuerySampleLibrary over a file of images: loads what a run will ask for, and hands it out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.arrays import Pixels
from edge_fm_runtime.errors import EngineError

PERFORMANCE_SAMPLES = 1024
"""Samples held in memory at once, as MLPerf asks of its image classification."""


class SampleLibrary:
    """Images by number.

    Args:
        file: `.npy` with uint8 `[N,H,W,C]`; it is mapped, and read when LoadGen asks for it.
    """

    def __init__(self, file: str | Path) -> None:
        self._all: Pixels = np.load(file, mmap_mode="r")
        self._place = np.full(len(self._all), -1, np.int64)
        self._loaded: Pixels = np.empty((0, *self._all.shape[1:]), np.uint8)

    @property
    def total(self) -> int:
        """Number of images."""
        return len(self._all)

    @property
    def performance_count(self) -> int:
        """Number of images that a performance run draws from."""
        return min(self.total, PERFORMANCE_SAMPLES)

    def load(self, indices: Sequence[int]) -> None:
        """Read images into memory; LoadGen calls it before a run, and not inside the timed part."""
        selected = np.unique(np.asarray(indices, np.int64))
        self._loaded = np.ascontiguousarray(self._all[selected])
        self._place[:] = -1
        self._place[selected] = np.arange(len(selected))

    def unload(self, indices: Sequence[int]) -> None:
        """Let them go."""
        self._place[np.asarray(indices, np.int64)] = -1
        self._loaded = self._loaded[:0]

    def get(self, indices: Sequence[int]) -> Pixels:
        """The images `indices`, uint8 `[len(indices),H,W,C]`.

        Raises:
            EngineError: one of them was not loaded.
        """
        if len(indices) == 1:
            at = int(self._place[indices[0]])
            found: Pixels = self._loaded[at : at + 1] if at >= 0 else self._loaded[:0]
        else:
            places: npt.NDArray[np.int64] = self._place[indices]
            found = self._loaded[places] if places.min() >= 0 else self._loaded[:0]
        if len(found) != len(indices):
            raise EngineError(f"LoadGen asks for sample {indices[0]}, which it has not loaded.")
        return found
