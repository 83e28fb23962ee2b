"""Which classes to merge in pairs: those that a model confuses most, or least, on validation images."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_fm_export.compat.tensorflow_graphs import retracing_warnings_hidden
from edge_fm_runtime.errors import DataError

_MOST_CLASSES = 20


@dataclass(frozen=True)
class Pairing:
    """Every class with one other.

    Attributes:
        pairs: labels, the smaller first; in the order of the smaller.
        confused: images that were taken for the other class of their pair; merging forgives them.
    """

    pairs: tuple[tuple[int, int], ...]
    confused: int

    def relabel(self, labels: Sequence[str]) -> dict[str, str]:
        """What a recipe's `relabel` in [data] takes: class -> the class that it becomes.

        Example:
            >>> Pairing(((0, 2), (1, 3)), 0).relabel(["a", "b", "c", "d"])
            {'a': 'a + c', 'c': 'a + c', 'b': 'b + d', 'd': 'b + d'}
        """
        return {labels[one]: f"{labels[a]} + {labels[b]}" for a, b in self.pairs for one in (a, b)}


def best_pairings(confusion: npt.ArrayLike) -> tuple[Pairing, Pairing]:
    """The pairing whose pairs are confused most, and the one whose pairs are confused least.

    Every pairing is compared, by dynamic programming over sets of classes.

    Args:
        confusion: `[classes,classes]` counts, rows true, columns predicted; of validation images, as a choice made by
            test images would spoil them.

    Raises:
        DataError: an odd number of classes, more than 20, or no square matrix.

    Example:
        >>> import numpy as np
        >>> most, least = best_pairings(np.array([[9, 0, 5, 0], [0, 9, 0, 4], [5, 0, 9, 1], [0, 4, 1, 9]]))
        >>> most.pairs, most.confused
        (((0, 2), (1, 3)), 18)
        >>> least.pairs
        ((0, 1), (2, 3))
    """
    counts = np.asarray(confusion)
    n = len(counts)
    if counts.shape != (n, n) or n % 2 or not 2 <= n <= _MOST_CLASSES:
        raise DataError(
            f"A confusion matrix of shape {list(counts.shape)} has no pairings to compare; "
            f"supported: an even number of classes up to {_MOST_CLASSES}."
        )
    between = (counts + counts.T).astype(int)
    return tuple(_extreme(between.tolist(), sign) for sign in (1, -1))  # type: ignore[return-value]


def _extreme(between: Sequence[Sequence[int]], sign: int) -> Pairing:
    everyone = (1 << len(between)) - 1

    @functools.cache
    def best(left: int) -> tuple[int, tuple[tuple[int, int], ...]]:
        """The best sum and pairs of the classes in the bit set `left`."""
        if not left:
            return 0, ()
        first = (left & -left).bit_length() - 1
        found: tuple[int, tuple[tuple[int, int], ...]] | None = None
        for other in range(first + 1, len(between)):
            if left >> other & 1:
                total, pairs = best(left & ~(1 << first | 1 << other))
                total += sign * between[first][other]
                if found is None or total > found[0]:
                    found = total, ((first, other), *pairs)
        assert found is not None  # an even number of classes
        return found

    total, pairs = best(everyone)
    return Pairing(pairs, sign * total)


def validation_confusion(run: Path) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """The confusion matrix of a run's model on the validation images that its epoch was selected by.

    Args:
        run: a finished training run.

    Returns:
        int64 `[classes,classes]`, rows true, columns predicted; and the label names.

    Raises:
        EdgeFMError: it is not a finished run, or its data cannot be loaded.
    """
    from edge_fm.evaluation import evaluate_probabilities
    from edge_fm.models.keras_import import require_keras
    from edge_fm.training import load_recipe
    from edge_fm.training.input_pipeline.recipe_data import load_recipe_data, training_and_validation
    from edge_fm.training.run.train_once import read_metrics
    from edge_fm.training.streaming.prediction import predict

    metrics = read_metrics(run)
    recipe = load_recipe(run / "recipe.toml")
    dataset = load_recipe_data(recipe)
    if dataset.content_hash != metrics["data"]["hash"]:
        raise DataError(f"{recipe.data.source} is no longer what the run in {run} was trained on.")
    _, validation = training_and_validation(recipe, dataset)
    model = require_keras("pairings").models.load_model(run / "model.keras", compile=False)
    with retracing_warnings_hidden():
        predictions = predict(model, validation.images, batch_size=250)
    return evaluate_probabilities(predictions, validation.labels, dataset.label_names).confusion, dataset.label_names
