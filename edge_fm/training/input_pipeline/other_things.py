"""Images of what is none of the classes: a model learns to find all classes equally probable there.

Hendrycks et al. 2019, "Deep Anomaly Detection with Outlier Exposure" (arXiv:1812.04606). Their scores are low then, so
that a threshold of scores keeps other things out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import numpy as np

from edge_fm.training.recipe import Recipe
from edge_fm_runtime.errors import TrainingError
from edge_fm_runtime.progress import ProgressFn, silent

if TYPE_CHECKING:
    from edge_fm.data import Dataset, Split


def with_other_things(
    recipe: Recipe,
    dataset: Dataset,
    train_split: Split,
    validation_split: Split,
    *,
    progress: ProgressFn = silent,
    note: Callable[[str], None] = lambda _: None,
) -> Split:
    """The training images, and after them the other things of the recipe's [data], if it names any.

    Args:
        recipe: whose `other_things` is used.
        dataset: whose labels and test split are used.
        train_split: training images.
        validation_split: validation images; other things of their groups, and of the test images', are left out.
        progress: called as images are read.
        note: called with how many there are.

    Returns:
        A split whose other things have the label after the last one.

    Raises:
        TrainingError: none is left, or the recipe has teachers, who know no other things.
        DataError: the source cannot be read.
    """
    from edge_fm.data import load_dataset
    from edge_fm.data.dataset import join

    part = recipe.data
    if not part.other_things:
        return train_split
    if recipe.distillation.teacher:
        raise TrainingError(
            "[data] other_things and [distillation] teacher cannot be used together: teachers know no other things.",
            hint="Leave one of them out.",
        )
    shape = cast("tuple[int, int, int]", train_split.images.shape[1:])
    grouped = part.group if train_split.groups else "none"
    found = load_dataset(
        part.other_things,
        shape=shape,
        photo=recipe.photo,
        skip_unreadable=part.skip_unreadable,
        group=grouped,
        label_column=part.label_column,
        progress=progress,
    )
    splits = [split for split in (found.train, found.validation, found.test) if split is not None]
    others = join(splits)
    held_out = {*validation_split.groups, *dataset.test.groups}
    if others.groups and held_out:
        others = others.take(np.array([i for i, group in enumerate(others.groups) if group not in held_out], np.int64))
    if not len(others):
        raise TrainingError(
            f"[data] other_things names {part.other_things}, which holds no image of a group that is learned from.",
            hint="Name other images, or leave other_things out.",
        )
    label = len(dataset.label_names)
    note(f"{len(others):,} images of other things are learned from: all classes shall be equally probable there.")
    return type(train_split)(
        np.concatenate([train_split.images, others.images]),
        np.concatenate([train_split.labels, np.full(len(others), label, np.int64)]),
    )
