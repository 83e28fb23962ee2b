"""Images with several labels: each set of labels that occurs is a class of the dataset, named by its labels.

So what divides, hashes and counts images by class works as it does for one label an image; what learns and evaluates
takes a 0 or 1 for each label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

SEPARATOR = "|"
"""Between the labels of a set."""
_FEWEST = 10
"""Images of a set of labels, from which on the set keeps its share when images are divided."""


@dataclass(frozen=True, eq=False)
class LabelSets:
    """The labels of a dataset, and which of them each of its classes has.

    Attributes:
        names: the labels, in alphabetical order.
        table: int64 `[classes,labels]`, 1 where the class has the label; `table[split.labels]` are an image's.
    """

    names: tuple[str, ...]
    table: npt.NDArray[np.int64]


def label_sets(classes: Sequence[str]) -> LabelSets:
    """Take the classes of a multi-label dataset apart.

    Args:
        classes: its label names, as `join_labels` makes them.

    Example:
        >>> sets = label_sets(["cat", "cat|dog", ""])
        >>> sets.names, sets.table.tolist()
        (('cat', 'dog'), [[1, 0], [1, 1], [0, 0]])
    """
    parts = [set(filter(None, name.split(SEPARATOR))) for name in classes]
    names = tuple(sorted(set().union(*parts)))
    return LabelSets(names, np.array([[name in part for name in names] for part in parts], dtype=np.int64))


def join_labels(labels: Sequence[str]) -> str:
    """The name of a set of labels; of none, an empty text.

    Example:
        >>> join_labels(["dog", "cat", "dog"])
        'cat|dog'
    """
    return SEPARATOR.join(sorted(set(labels)))


def strata(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The classes `[N]` by which images are divided: sets of labels with few images are put together.

    Example:
        >>> strata(np.array([0] * 10 + [1, 2])).tolist()
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3]
    """
    counts = np.bincount(labels)
    return np.asarray(np.where(counts[labels] < _FEWEST, len(counts), labels), dtype=np.int64)


def say_labels(table: npt.NDArray[Any], labels: npt.NDArray[np.int64], names: Sequence[str]) -> str:
    """How many images have each label, for a person."""
    counts = table[labels].sum(axis=0)
    return ", ".join(f"{name} ({int(count):,})" for name, count in zip(names, counts, strict=True))
