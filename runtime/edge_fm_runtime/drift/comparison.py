"""Whether photos still look like the held-out images that an artifact records: several tests, one verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_fm_runtime.drift.limits import ALPHA
from edge_fm_runtime.drift.observation import Observation
from edge_fm_runtime.drift.reference import DriftReference
from edge_fm_runtime.drift.two_sample import anderson_darling, cell_test, class_test, holm


@dataclass(frozen=True)
class DriftTest:
    """One test.

    Attributes:
        name: of what is compared, such as "brightness".
        p_value: how often a difference as large comes by chance alone.
        adjusted_p: the same, corrected for the number of tests (Holm).
        changed: whether the adjusted value is at most alpha.
        reference: mean of the held-out images, or the share of the class that changed most; None where a number says
            nothing, as of cells.
        now: the same of the photos.
        label: of that class.
    """

    name: str
    p_value: float
    adjusted_p: float
    changed: bool
    reference: float | None = None
    now: float | None = None
    label: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm drift --json` lists."""
        return {
            "name": self.name,
            "p_value": self.p_value,
            "adjusted_p": self.adjusted_p,
            "changed": self.changed,
            "reference": self.reference,
            "now": self.now,
            "label": self.label,
        }


def compare(
    reference: DriftReference, seen: Observation, labels: Sequence[str], *, alpha: float = ALPHA
) -> tuple[DriftTest, ...]:
    """Test whether images are still of the distribution of the reference.

    Predicted classes are compared by the likelihood ratio, cells (of predictions and embeddings) by Pearson's
    chi-square, both by permutation, other values by the Anderson-Darling test; p-values are adjusted by Holm's method.
    Where nothing has changed, the chance that any test says so is at most `alpha`, provided that the images are
    independent.

    Args:
        reference: what the artifact records.
        seen: what its model sees now, of at least 2 images.
        labels: of the classes.
        alpha: the false-alarm rate.

    Returns:
        the tests in their order.
    """
    found: list[tuple[str, float, float | None, float | None, str | None]] = []
    if reference.classes is not None and seen.classes is not None:
        counts = np.bincount(seen.classes, minlength=len(labels)).astype(np.int64)
        p = class_test(reference.classes, counts)
        recorded, shares = reference.classes / reference.n, counts / seen.n
        most = int(np.abs(shares - recorded).argmax())
        found.append(("classes", p, float(recorded[most]), float(shares[most]), labels[most]))
    for name, values in reference.statistics.items():
        ours = seen.statistics[name]
        before, now = (float(array.mean(dtype=np.float64)) for array in (values, ours))
        found.append((name, anderson_darling(values, ours), before, now, None))
    for name, space in reference.spaces.items():
        cells = space.partitions.cells(seen.vectors[name])
        p = cell_test(space.cells, cells, space.partitions.centres.shape[1])
        found.append((name, p, None, None, None))
    adjusted = holm([p for _, p, *_ in found])
    return tuple(
        DriftTest(name, p, corrected, corrected <= alpha, before, now, label)
        for (name, p, before, now, label), corrected in zip(found, adjusted, strict=True)
    )
