"""Images of what is none of the classes: a model learns to find all classes equally probable there.

Hendrycks et al. 2019, "Deep Anomaly Detection with Outlier Exposure" (arXiv:1812.04606). Their scores are low then, so
that a threshold of scores keeps other things out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

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
    from edge_fm.data.streaming.images import concatenate

    part = recipe.data
    if not part.other_things:
        return train_split
    if recipe.distillation.teacher:
        raise TrainingError(
            "[data] other_things and [distillation] teacher cannot be used together: teachers know no other things.",
            hint="Leave one of them out.",
        )
    shape = cast("tuple[int, int, int]", train_split.images.shape[1:])
    others, _ = _read(recipe, shape, grouped=bool(train_split.groups), progress=progress)
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
        concatenate([train_split.images, others.images]),
        np.concatenate([train_split.labels, np.full(len(others), label, np.int64)]),
    )


def held_out_other_things(
    recipe: Recipe, groups: Sequence[str], shape: tuple[int, int, int], *, progress: ProgressFn = silent
) -> dict[str, npt.NDArray[np.uint8]]:
    """The recipe's other things that come from some groups, such as the validation split's, which are not learned from.

    Args:
        recipe: whose `other_things` is used.
        groups: of the images that are held out; without groups none of the other things is.
        shape: height, width and channels of the model's input.
        progress: called as images are read.

    Returns:
        uint8 `[M,H,W,C]` by label.

    Raises:
        DataError: the source cannot be read.
    """
    if not recipe.data.other_things or not groups:
        return {}
    others, names = _read(recipe, shape, grouped=True, progress=progress)
    held_out = np.isin(np.array(others.groups), np.array(sorted(set(groups))))
    return {
        name: others.images[held_out & (others.labels == label)]
        for label, name in enumerate(names)
        if (held_out & (others.labels == label)).any()
    }


def _read(
    recipe: Recipe, shape: tuple[int, int, int], *, grouped: bool, progress: ProgressFn
) -> tuple[Split, tuple[str, ...]]:
    """All images of the recipe's other things, and the names of their labels."""
    from edge_fm.data import load_dataset
    from edge_fm.data.dataset import join

    part = recipe.data
    found = load_dataset(
        part.other_things,
        shape=shape,
        photo=recipe.photo,
        skip_unreadable=part.skip_unreadable,
        group=part.group if grouped else "none",
        label_column=part.label_column,
        progress=progress,
    )
    return join(list(found.splits.values())), found.label_names
