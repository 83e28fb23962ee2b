"""Divide a training split into folds: each class in equal shares, copies of an image together."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_fm_runtime.errors import TrainingError

if TYPE_CHECKING:
    from edge_fm.data import Dataset, Split


def assign_folds(split: Split, *, folds: int, seed: int) -> NDArray[np.int64]:
    """Assign each image to the fold that holds it out.

    Where images have groups, a group is in one fold, and classes have equal shares as far as groups allow. Else images
    that are equal, pixel for pixel, share a fold, so that no fold is evaluated on a copy of a training image.

    Args:
        split: what to divide.
        folds: how many, at least 2.
        seed: same seed, same images: same folds.

    Returns:
        int64 `[N]`, 0..folds-1; the sizes of two folds differ by at most one image a class, copies aside.

    Raises:
        TrainingError: fewer than 2 folds, or a class with fewer different images than folds.

    Example:
        >>> from edge_fm.data import load_dataset
        >>> from edge_fm.training.search.crossval_folds import assign_folds
        >>> np.bincount(assign_folds(load_dataset("fashion-mnist-mini").train, folds=5, seed=0)).tolist()
        [1200, 1200, 1200, 1200, 1200]
    """
    from edge_fm.data.splitting.groups import fold_groups
    from edge_fm.data.splitting.order import permutation
    from edge_fm_export.gate.fingerprints import fingerprints

    if folds < 2:
        raise TrainingError(f"Cross-validation over {folds} folds was asked for; it takes at least 2.")
    if split.groups:
        return fold_groups(split.labels, split.groups, folds=folds, seed=seed)
    groups: dict[bytes, list[int]] = {}
    for index, key in enumerate(fingerprints(split.images)):
        groups.setdefault(key, []).append(index)
    by_class: dict[int, list[list[int]]] = {}
    for members in groups.values():
        by_class.setdefault(int(split.labels[members[0]]), []).append(members)

    assigned = np.full(len(split), -1, np.int64)
    first = 0
    for label in sorted(by_class):
        these = by_class[label]
        if len(these) < folds:
            raise TrainingError(
                f"Class {label} has {len(these)} different images, fewer than {folds} folds.",
                hint="Use fewer folds, or add images.",
            )
        drawn = [these[i] for i in permutation(len(these), seed, label)]
        drawn.sort(key=len, reverse=True)  # stable; the large groups first, so that the small ones even them out
        sizes = np.zeros(folds, np.int64)
        # Each class begins with another fold, so that the images left over do not all fall to the first one.
        turn = np.roll(np.arange(folds), -first)
        for members in drawn:
            fold = turn[int(np.argmin(sizes[turn]))]
            assigned[members] = fold
            sizes[fold] += len(members)
        first = (first + sum(map(len, these))) % folds
    return assigned


def fold_dataset(dataset: Dataset, assigned: NDArray[np.int64], fold: int) -> Dataset:
    """A fold as a dataset of its own: the fold's images are its test split, the others its training split.

    The test split of `dataset` is in neither.
    """
    count = int(assigned.max()) + 1
    mark = sha256(assigned.astype("<i8").tobytes()).hexdigest()
    return replace(
        dataset,
        name=f"{dataset.name}, fold {fold + 1} of {count}",
        train=dataset.train.take(np.flatnonzero(assigned != fold)),
        test=dataset.train.take(np.flatnonzero(assigned == fold)),
        content_hash=sha256(f"{dataset.content_hash} fold {fold} of {mark}".encode()).hexdigest(),
    )
