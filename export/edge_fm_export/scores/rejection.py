"""The score below which a model gives no label, selected on labelled images, and what each threshold would do.

The score is the highest probability: all that an artifact returns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

TARGET_ACCURACY = 0.92
MAX_OTHERS = 0.25
LEAST_LABELLED = 20
"""A share of fewer predictions says nothing."""
_GRID = (*(i / 100 for i in range(100)), 0.995, 0.999)
_LISTED = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Goals:
    """What a threshold must reach.

    Attributes:
        target_accuracy: share of the given labels that must be right.
        max_others: largest share of images of other things that may get a label.
    """

    target_accuracy: float = TARGET_ACCURACY
    max_others: float = MAX_OTHERS


@dataclass(frozen=True)
class ThresholdRow:
    """What a threshold does.

    Attributes:
        threshold: a label is given from this score on.
        coverage: share of the labelled images that get a label.
        accuracy: share of these labels that is right; None where none is given.
        others_accepted: share of the images of other things that get a label; None without such images.
    """

    threshold: float
    coverage: float
    accuracy: float | None
    others_accepted: float | None


@dataclass(frozen=True)
class Rejection:
    """A threshold and its table.

    Attributes:
        threshold: the lowest that reaches the goals; None where none does.
        reason: why there is none.
        goals: what it had to reach.
        dataset: what the labelled images are called.
        n: how many there are.
        others: name, number and accepted share (at the threshold) of each group of other things.
        table: some thresholds, the selected one among them, the lowest first.
    """

    threshold: float | None
    reason: str | None
    goals: Goals
    dataset: str
    n: int
    others: tuple[Mapping[str, Any], ...]
    table: tuple[ThresholdRow, ...]

    @property
    def selected(self) -> ThresholdRow | None:
        """The row of the threshold."""
        return next((row for row in self.table if row.threshold == self.threshold), None)

    def to_json(self) -> dict[str, Any]:
        """The object `scores.rejection` of edgefm.json."""
        return {
            "threshold": self.threshold,
            "reason": self.reason,
            "target_accuracy": self.goals.target_accuracy,
            "max_others": self.goals.max_others if self.others else None,
            "dataset": self.dataset,
            "n": self.n,
            "others": [dict(group) for group in self.others],
            "table": [asdict(row) for row in self.table],
        }

    def sentence(self) -> str:
        """What `--min-score auto` does, for a person."""
        row = self.selected
        if row is None:
            return f"--min-score auto has no threshold: {self.reason}"
        every = "" if row.threshold else ", so that every photo gets a label"
        return (
            f"--min-score auto is {row.threshold:g}{every}: on {self.dataset} ({self.n:,} images) {describe_row(row)}."
        )


def describe_row(row: ThresholdRow) -> str:
    """What a threshold does, in words."""
    right = "" if row.accuracy is None else f", {100 * row.accuracy:.1f}% of these labels are right"
    others = "" if row.others_accepted is None else f", and {100 * row.others_accepted:.1f}% of other things get one"
    return f"{100 * row.coverage:.1f}% get a label{right}{others}"


def fit_rejection(
    probabilities: npt.NDArray[np.floating[Any]],
    labels: npt.NDArray[np.integer[Any]],
    *,
    dataset: str,
    others: Mapping[str, npt.NDArray[np.floating[Any]]] | None = None,
    goals: Goals = Goals(),
) -> Rejection:
    """Select the lowest threshold, in steps of 0.01, that reaches the goals; so as many images as can be get a label.

    Args:
        probabilities: `[N,classes]` of labelled images that nothing was learned from.
        labels: `[N]`.
        dataset: what to call them.
        others: predictions `[M,classes]` for images of other things, by the name of their group.
        goals: what the threshold must reach; `max_others` counts only where there are others.
    """
    # As floats of Python, which the runtime compares: in float32, 0.63 is another number.
    groups = {name: rows.max(axis=1).astype(np.float64) for name, rows in (others or {}).items()}
    measured = _Measured(
        probabilities.max(axis=1).astype(np.float64),
        probabilities.argmax(axis=1) == labels,
        np.concatenate([*groups.values()]) if groups else None,
    )
    rows = {threshold: measured.row(threshold) for threshold in _GRID}
    enough = [row for row in rows.values() if row.coverage * len(labels) >= LEAST_LABELLED]
    right = [row for row in enough if (row.accuracy or 0.0) >= goals.target_accuracy]
    fitting = [row for row in right if (row.others_accepted or 0.0) <= goals.max_others]
    threshold = fitting[0].threshold if fitting else None
    listed = sorted({*_LISTED, *([] if threshold is None else [threshold])})
    return Rejection(
        threshold,
        None if fitting else _reason(enough, right, goals, len(labels)),
        goals,
        dataset,
        len(labels),
        tuple(
            {
                "name": name,
                "n": len(scores),
                "accepted": None if threshold is None else float((scores >= threshold).mean()),
            }
            for name, scores in groups.items()
        ),
        tuple(rows[value] for value in listed),
    )


@dataclass(frozen=True, eq=False)
class _Measured:
    """Best scores of labelled images, which of these are right, and best scores of other things."""

    scores: npt.NDArray[np.float64]
    right: npt.NDArray[np.bool_]
    others: npt.NDArray[np.float64] | None

    def row(self, threshold: float) -> ThresholdRow:
        given = self.scores >= threshold
        return ThresholdRow(
            threshold,
            float(given.mean()),
            float(self.right[given].mean()) if given.any() else None,
            None if self.others is None else float((self.others >= threshold).mean()),
        )


def _reason(enough: list[ThresholdRow], right: list[ThresholdRow], goals: Goals, n: int) -> str:
    if not enough:
        return (
            f"there are {n} validation images, and at least {LEAST_LABELLED} must get a label. Train with more of them "
            "(edgefm train --set data.validation=0.2), or name others (edgefm export --validation SOURCE)."
        )
    if not right:
        best = max(enough, key=lambda row: row.accuracy or 0.0)
        reached = math.floor(100 * (best.accuracy or 0.0)) / 100
        return (
            f"no threshold makes {100 * goals.target_accuracy:g}% of at least {LEAST_LABELLED} labels right; the best "
            f"is {100 * (best.accuracy or 0.0):.1f}% at {best.threshold:g}. "
            + (f"A goal that is reached: edgefm export --target-accuracy {reached:g}" if reached else "Train longer.")
        )
    fewest = min(right, key=lambda row: row.others_accepted or 0.0)
    return (
        f"where {100 * goals.target_accuracy:g}% of the labels are right, at least "
        f"{100 * (fewest.others_accepted or 0.0):.1f}% of other things get one, more than {100 * goals.max_others:g}%. "
        f"A goal that is reached: edgefm export --max-others {math.ceil(100 * (fewest.others_accepted or 0.0)) / 100:g}"
    )
