"""Random partitions of a space of vectors, in whose cells two samples are counted.

Each partition has some dozens of centres, which are vectors of images themselves, and a vector is in the cell of the
nearest one. So cells are small where vectors lie close together, and a group of vectors that was not there before, as
of a new class, fills a few of them. Several partitions together depend little on which centres were drawn: this is the
isolation kernel with Voronoi cells of Qin, Ting, Zhu and Lee (Nearest-Neighbour-Induced Isolation Similarity and Its
Impact on Density-Based Clustering, 2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.arrays import Floats, Probabilities

_LEAST = 1e-3
"""Added to probabilities before their logarithm: differences below it are those of engines, not of photos."""
_CHUNK = 4096
"""Vectors whose cells are found at once."""


@dataclass(frozen=True, eq=False)
class Partitions:
    """Partitions of a space.

    Attributes:
        mean: float32 `[D]`, subtracted from a vector first.
        projection: float32 `[D,d]`, applied then.
        centres: float32 `[partitions,cells,d]`.
    """

    mean: Floats
    projection: Floats
    centres: Floats

    def cells(self, vectors: Floats) -> npt.NDArray[np.uint8]:
        """The cell of each vector `[N,D]` in each partition: `[N,partitions]`."""
        parts = [self._cells(vectors[i : i + _CHUNK]) for i in range(0, len(vectors), _CHUNK)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.centres)), np.uint8)

    def _cells(self, vectors: Floats) -> npt.NDArray[np.uint8]:
        projected = (vectors - self.mean) @ self.projection
        found = np.empty((len(vectors), len(self.centres)), np.uint8)
        for number, centres in enumerate(self.centres):
            # Their squared distances, less what all have in common.
            found[:, number] = (np.square(centres).sum(axis=1) - 2 * projected @ centres.T).argmin(axis=1)
        return found


def log_odds(probabilities: Probabilities, *, multi_label: bool) -> Floats:
    """Probabilities `[N,classes]` as vectors in which a tenth and a hundredth are as far apart as all and a tenth.

    Args:
        probabilities: of the classes.
        multi_label: each is that of a label of its own; else they add up to 1.
    """
    logarithms = np.log(probabilities + np.float32(_LEAST))
    others = np.log(1 - probabilities + np.float32(_LEAST)) if multi_label else logarithms.mean(axis=1, keepdims=True)
    return np.asarray(logarithms - others, np.float32)


def unit_length(embeddings: Floats) -> Floats:
    """Embeddings `[N,D]`, each divided by its length."""
    lengths = np.sqrt(np.square(embeddings, dtype=np.float64).sum(axis=1, keepdims=True))
    return np.asarray(embeddings / np.maximum(lengths, 1e-12), np.float32)
