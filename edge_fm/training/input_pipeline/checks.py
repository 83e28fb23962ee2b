"""Checks of the dataset and the machine before a training starts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from edge_fm.data.label_sets import label_sets
from edge_fm_runtime.errors import DataError, EdgeFMError, TrainingError

if TYPE_CHECKING:
    from edge_fm.data import Dataset, Split
    from edge_fm.training.recipe import AugmentationPart

_LEAST = 2
"""Training images that a class needs where its validation images are taken from them."""


def check_dataset(dataset: Dataset) -> None:
    """Check shapes, dtypes and labels of the splits.

    Raises:
        TrainingError: what is wrong, in which split.
    """
    check_class_counts(dataset)
    classes = len(dataset.label_names)
    for part, split in dataset.splits.items():
        name = "training" if part == "train" else part
        images, labels = split.images, split.labels
        if images.ndim != 4 or images.dtype != np.uint8:
            raise TrainingError(
                f"The {name} images of {dataset.name} are {images.dtype} {list(images.shape)}; "
                "supported: uint8 [N,H,W,C]."
            )
        if len(images) == 0:
            raise TrainingError(
                f"{dataset.name} has no {name} images.", hint="Both a training and a test split are needed."
            )
        if labels.shape != (len(images),):
            raise TrainingError(f"{dataset.name} has {len(images)} {name} images but labels {list(labels.shape)}.")
        wrong = labels[(labels < 0) | (labels >= classes)]
        if len(wrong):
            raise TrainingError(
                f"{len(wrong)} {name} labels of {dataset.name} are outside 0..{classes - 1}, the first is {wrong[0]}.",
                hint=f"It has {classes} label names: {', '.join(dataset.label_names[:10])}.",
            )
        if dataset.train.images.shape[1:] != images.shape[1:]:
            raise TrainingError(
                f"Training images are {list(dataset.train.images.shape[1:])}, {name} images {list(images.shape[1:])}.",
                hint="Give all one shape: shape = [height, width, channels] in the recipe's [data].",
            )


def check_class_counts(dataset: Dataset) -> None:
    """Check that there are classes to tell apart, and that each has images for the splits that are drawn.

    Raises:
        TrainingError: there is one class alone, or which classes have too few images.
    """
    classes = len(dataset.label_names)
    if classes < 2:
        raise TrainingError(
            f"{dataset.name} has {classes} class; a classifier takes at least 2.",
            hint="Add images of another class; it may hold whatever else the camera will see, called other.",
        )
    if dataset.multi_label or dataset.validation is not None or dataset.train.groups:
        return
    learned, tested = (
        np.bincount(split.labels[split.labels >= 0], minlength=classes) for split in (dataset.train, dataset.test)
    )
    few = [i for i in range(classes) if learned[i] < _LEAST]
    if few:
        counts = ", ".join(f"{dataset.label_names[i]} ({learned[i]}, and {tested[i]} for the test)" for i in few[:10])
        raise TrainingError(
            f"{len(few)} of {classes} classes of {dataset.name} have fewer than {_LEAST} training images: {counts}. "
            "Each needs one to learn from and one for validation.",
            hint="Add images to them, or leave those classes out. A class of which all splits are drawn needs 3 images "
            "or more: one each for training, validation and the test.",
        )


def why_not_trainable(dataset: Dataset) -> EdgeFMError | None:
    """The error with which a training on a dataset would end before it begins, with a recipe's defaults; else None."""
    from edge_fm.training.input_pipeline.recipe_data import training_and_validation
    from edge_fm.training.recipe import Recipe

    try:
        check_dataset(dataset)
        check_classes(dataset, *training_and_validation(Recipe(), dataset))
    except (TrainingError, DataError) as error:
        return error
    return None


def check_clock() -> None:
    """Check that the clock stands where a `.keras` file, which is a zip archive, can be dated.

    Raises:
        TrainingError: it does not; the finished model could not be saved.
    """
    now = time.localtime()
    if not 1980 <= now.tm_year <= 2107:
        raise TrainingError(
            f"This machine's clock shows {time.strftime('%Y-%m-%d', now)}; a model can be saved from 1980 to 2107.",
            hint="Set the clock, such as with: date --set 2026-01-31",
        )


def check_augmentation(part: AugmentationPart, shape: tuple[int, ...]) -> None:
    """Check that images can be changed as the recipe says.

    Args:
        part: the recipe's [augmentation].
        shape: height, width and channels of the images.

    Raises:
        TrainingError: images that are moved may leave the frame, or have no colour that could be changed.
    """
    coloured = ("saturation", "hue", "grey")
    given = [name for name in coloured if getattr(part, name)] + (["policy"] if part.policy != "none" else [])
    if given and shape[2] != 3:
        raise TrainingError(
            f"[augmentation] {', '.join(given)} {'changes' if len(given) == 1 else 'change'} colours; the images have "
            f"{shape[2]} {'channel' if shape[2] == 1 else 'channels'}, not the 3 of RGB.",
            hint="Leave out: "
            + " ".join(f"--set augmentation.{name}={'none' if name == 'policy' else 0}" for name in given),
        )
    side, shift = min(shape[:2]), part.shift
    if shift >= side:
        raise TrainingError(
            f"[augmentation] shift is {shift} pixels; the images are {shape[0]}x{shape[1]} and would leave the frame.",
            hint=f"Usual are up to an eighth of the side: --set augmentation.shift={max(1, side // 8)}"
            if side > 1
            else "Images of one pixel cannot be moved: --set augmentation.shift=0",
        )


def check_classes(dataset: Dataset, learn: Split, validation: Split) -> None:
    """Check that each class has images to learn from and images to select the best epoch by.

    Raises:
        TrainingError: which classes have too few.
    """
    if dataset.multi_label:
        _check_labels(dataset, learn)
        return
    classes = len(dataset.label_names)
    total = np.bincount(dataset.train.labels, minlength=classes)
    own = dataset.validation is not None or bool(validation.groups)  # which may lack a class
    parts = [np.bincount(part.labels, minlength=classes) for part in ((learn,) if own else (learn, validation))]
    few = [f"{dataset.label_names[i]} ({total[i]})" for i in range(classes) if not all(part[i] for part in parts)]
    if few:
        raise TrainingError(
            f"Too few training images in {len(few)} of {classes} classes: {', '.join(few[:10])}. "
            f"Each needs one to learn from{'' if own else ' and one to select the best epoch by'}.",
            hint="Add images to them, or leave those classes out.",
        )


def _check_labels(dataset: Dataset, learn: Split) -> None:
    """Check that each label of a multi-label dataset has images to learn from, with it and without it.

    Raises:
        TrainingError: which labels have none.
    """
    sets = label_sets(dataset.label_names)
    counts = sets.table[learn.labels].sum(axis=0)
    few = [f"{name} ({count})" for name, count in zip(sets.names, counts, strict=True) if not 0 < count < len(learn)]
    if few:
        raise TrainingError(
            f"{len(few)} of {len(sets.names)} labels have no image to learn from, or every one: {', '.join(few[:10])}, "
            f"of {len(learn)} images.",
            hint="Add images with and without each label, or leave the label out of the manifest.",
        )
