"""Are a model's labels in the order of its outputs? Labelled images show it, even where most labels are right.

A model whose "cat" is what people labelled "dog", and the other way round, has two names exchanged. Such pairs are
found on one half of the images and tested on the other half, so that many classes do not make a false alarm likely.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_FALSE_ALARM = 1e-4
"""How often the test may speak of a model whose names are right, at most."""
_MOSTLY = 0.5
"""Of the images of the renamed classes, the share that must be right under the new names."""
_LEAST_RATIO = 3.0
"""How many times more of them must be right under the new names than under the old ones."""
_CLOSED = 0.8
"""Of the classes concerned, the share whose output is known; an exchange that leaves more of them open is none."""
_CLEARLY = 2
"""How many times more images a new name must explain than the old one, for each output and for each class."""
_FEWEST = 3
"""Images, of the half that is searched, on which a new name rests at least."""
_SMALL = 2_000
"""Up to so many images, chances are computed exactly."""


@dataclass(frozen=True)
class LabelOrder:
    """Other names for some of a model's outputs, which fit labelled images far better.

    Attributes:
        renamed: output -> the class that it stands for, of those that have a wrong name now.
        accuracy: share of all images that is right as it is.
        accuracy_renamed: share of all images that would be right.
    """

    renamed: Mapping[int, int]
    accuracy: float
    accuracy_renamed: float

    def order(self, classes: int) -> tuple[int, ...] | None:
        """For each output the class that it stands for; None where some remain open."""
        renamed_to = {output: output for output in range(classes) if output not in self.renamed}
        taken = set(self.renamed.values())
        left = [output for output in renamed_to if output in taken]
        free = sorted(set(range(classes)) - taken - {output for output in renamed_to if output not in taken})
        if len(left) > 1:
            return None
        renamed_to |= dict(zip(left, free, strict=True)) | dict(self.renamed)
        return tuple(renamed_to[output] for output in range(classes))


def find_label_order(
    predicted: npt.NDArray[np.integer[Any]], labels: npt.NDArray[np.integer[Any]], classes: int
) -> LabelOrder | None:
    """Find outputs of a model that have each other's names.

    An output is renamed where it and a class belong together both ways: most of its predictions are images of that
    class, and most images of that class are predicted as this output. The images kept back must then be right more
    often under the new names than under the old ones, by the exact one-sided test of McNemar at 1 in 10,000, at least
    three times as often, and half of those classes' images must be right then.

    Args:
        predicted: `[N]` outputs that the model predicts, 0..classes-1.
        labels: `[N]` true classes.
        classes: their number.

    Returns:
        The new names; None where the present ones fit about as well, or the images are too few to decide.

    Example:
        >>> truth = np.arange(200) % 4
        >>> found = find_label_order(np.array([1, 0, 2, 3])[truth], truth, 4)
        >>> found.renamed, found.accuracy, found.order(4)
        ({0: 1, 1: 0}, 0.5, (1, 0, 2, 3))
        >>> find_label_order(truth, truth, 4) is None
        True
    """
    n = len(labels)
    half = np.random.default_rng(0).permutation(n) < n // 2
    renamed = _pairs(confusion_matrix(predicted[half], labels[half], classes))
    both = {*renamed, *renamed.values()}
    if len(renamed) < 2 or len(renamed) < _CLOSED * len(both):
        return None
    mapping = np.full(classes, -1)  # an output whose name another one got has none
    unmoved = [output for output in range(classes) if output not in both]
    mapping[unmoved] = unmoved
    mapping[list(renamed)] = list(renamed.values())
    as_it_is, then = predicted == labels, mapping[predicted] == labels
    kept_back = ~half
    won = int((then & ~as_it_is & kept_back).sum())
    lost = int((as_it_is & ~then & kept_back).sum())
    concerned = int((np.isin(labels, list(both)) & kept_back).sum())
    if won < _MOSTLY * concerned or won < _LEAST_RATIO * lost or _one_sided(won, lost) > _FALSE_ALARM:
        return None
    return LabelOrder(renamed, float(as_it_is.mean()), float(then.mean()))


def confusion_matrix(
    predicted: npt.NDArray[np.integer[Any]], labels: npt.NDArray[np.integer[Any]], classes: int
) -> npt.NDArray[np.int64]:
    """Images by true class (rows) and predicted class (columns): int64 `[classes,classes]`."""
    counts = np.bincount(labels.astype(np.int64) * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)


def _pairs(confusion: npt.NDArray[np.int64]) -> dict[int, int]:
    """Outputs with the class that belongs to them both ways, where that is not the class they are named after."""
    of_output, of_class = confusion.argmax(axis=0), confusion.argmax(axis=1)
    return {
        output: int(name)
        for output, name in enumerate(of_output)
        if of_class[name] == output != name
        and confusion[name, output] >= _FEWEST
        and confusion[name, output] > _CLEARLY * max(confusion[output, output], confusion[name, name])
    }


def _one_sided(won: int, lost: int) -> float:
    """Chance that a fair coin shows at least `won` heads in `won + lost` throws (McNemar 1947, the exact test).

    Example:
        >>> _one_sided(3, 0)
        0.125
    """
    n = won + lost
    if n <= _SMALL:
        return float(sum(math.comb(n, k) for k in range(won, n + 1)) / 2**n)
    # Hoeffding's bound is never less than the exact chance.
    return math.exp(-((won - lost) ** 2) / (2 * n)) if won > lost else 1.0
