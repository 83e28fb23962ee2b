"""Compare outputs beside the probabilities, such as embeddings, with the original's.

Floats must be equal to within a tolerance. Where weights or activations are rounded, what embeddings are used for
counts: their direction, so the cosine of the angle between the two vectors of an image, 1 for the same direction. An
output of several dimensions counts as one vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.artifacts.metadata import PROBABILITIES, Precision
from edge_fm_runtime.engines.outputs import Outputs
from edge_fm_runtime.parity.checks import MEAN_COSINE, Check

MAX_DIFF = 1e-4
"""Largest difference at fp32, as a share of the largest value where that is above 1."""
MIN_MEAN_COSINE: Mapping[Precision, float] = {"fp16": 0.999, "int8": 0.99, "w8a16": 0.99}


@dataclass(frozen=True)
class OutputParity:
    """An output compared with the original's.

    Attributes:
        name: of the output.
        n: how many images were compared.
        max_abs_diff: largest absolute difference of a value.
        largest: largest absolute value of the original's.
        mean_cosine: mean over the images of the cosine between their two vectors.
        min_cosine: the smallest of them.
    """

    name: str
    n: int
    max_abs_diff: float
    largest: float
    mean_cosine: float
    min_cosine: float

    def to_json(self) -> dict[str, Any]:
        """The object `parity.extra_outputs.NAME` of edgefm.json."""
        return {
            "n": self.n,
            "max_abs_diff": self.max_abs_diff,
            "largest": self.largest,
            "mean_cosine": self.mean_cosine,
            "min_cosine": self.min_cosine,
        }

    def check(self, precision: Precision, *, suffix: str = "") -> Check:
        """The check of an artifact of this precision; `suffix` ends its name."""
        if precision == "fp32":
            limit = MAX_DIFF * max(1.0, self.largest)
            passed = self.max_abs_diff <= limit
            return Check(f"max_abs_diff_{self.name}{suffix}", self.max_abs_diff, limit, passed)
        least = MIN_MEAN_COSINE[precision]
        passed = self.mean_cosine >= least
        return Check(f"{MEAN_COSINE}_{self.name}{suffix}", self.mean_cosine, least, passed)


def compare_outputs(pairs: Iterable[tuple[Outputs, Outputs]]) -> list[OutputParity]:
    """Compare extra outputs, batch by batch.

    Args:
        pairs: for each batch, the original's outputs and those of the other model.

    Returns:
        a comparison for each extra output of the original.

    Example:
        >>> one, other = np.array([[3.0, 4.0]], np.float32), np.array([[4.0, 3.0]], np.float32)
        >>> (found,) = compare_outputs([({"embedding": one}, {"embedding": other})])
        >>> found.max_abs_diff, round(found.mean_cosine, 3)
        (1.0, 0.96)
    """
    cosines: dict[str, list[npt.NDArray[np.float64]]] = {}
    differences: dict[str, float] = {}
    largest: dict[str, float] = {}
    for original, outputs in pairs:
        for name, values in original.items():
            if name == PROBABILITIES:
                continue
            one, other = (np.asarray(v, np.float64).reshape(len(v), -1) for v in (values, outputs[name]))
            cosines.setdefault(name, []).append(cosine(one, other))
            differences[name] = max(differences.get(name, 0.0), float(np.abs(one - other).max()))
            largest[name] = max(largest.get(name, 0.0), float(np.abs(one).max()))
    found = []
    for name, parts in cosines.items():
        every = np.concatenate(parts)
        means = float(every.mean()), float(every.min())
        found.append(OutputParity(name, len(every), differences[name], largest[name], *means))
    return found


def cosine(one: npt.NDArray[np.floating[Any]], other: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Cosine of the angle between the vectors of each row, float64 `[N]`; two zero vectors are alike, 1.

    Args:
        one: `[N,D]`, or `[1,D]` to compare one vector with all.
        other: `[N,D]`.

    Example:
        >>> cosine(np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[2.0, 0.0], [0.0, 0.0]])).tolist()
        [1.0, 1.0]
    """
    first, second = one.astype(np.float64), other.astype(np.float64)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    products = (first * second).sum(axis=1)
    alike = (first == second).all(axis=1)
    return np.where(alike, 1.0, products / np.where(lengths > 0, lengths, 1.0))
