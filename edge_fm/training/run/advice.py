"""What the figures of a run do not cover, and what would have helped it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_fm.data.label_sets import label_sets
from edge_fm.data.splitting.missing_classes import in_words, missing_classes
from edge_fm.training.input_pipeline.enough_epochs import enough_epochs
from edge_fm.training.recipe import Recipe
from edge_fm.training.run.selection import Scores
from edge_fm_runtime.parity.label_suspects import LabelSuspect

if TYPE_CHECKING:
    from edge_fm.data import Dataset, Split

_FEW_OF_A_CLASS, _FEW_TO_VALIDATE = 30, 100
_APART, _TOO_LOW, _UNEVEN = 0.1, 0.85, 5
_NAMED = 5


def advice_of(
    recipe: Recipe,
    train_labels: NDArray[np.int64],
    label_names: Sequence[str],
    *,
    learned: Scores,
    validation: Scores,
    validation_images: int,
    suspects: Sequence[LabelSuspect],
) -> tuple[str, ...]:
    """Sentences for the user, the most useful first; none where nothing stands out.

    Args:
        recipe: of the run.
        train_labels: int64 `[N]` of the training images.
        label_names: of the classes.
        learned: figures on the training images.
        validation: figures on the validation images.
        validation_images: how many.
        suspects: validation images whose labels are worth a look.
    """
    lines = []
    counts = np.bincount(train_labels, minlength=len(label_names))
    few = sorted((int(count), name) for name, count in zip(label_names, counts, strict=True) if count < _FEW_OF_A_CLASS)
    if few:
        named = ", ".join(f"{name} ({count})" for count, name in few[:_NAMED])
        more = f" and {len(few) - _NAMED} more" if len(few) > _NAMED else ""
        lines.append(
            f"{len(few)} of {len(label_names)} classes have fewer than {_FEW_OF_A_CLASS} training images: "
            f"{named}{more}. More images of them help most."
        )
    balanced = recipe.training.class_weights != "none" or recipe.training.balanced_sampling
    if counts.max() > _UNEVEN * max(1, counts.min()) and not balanced:
        lines.append(
            f"The largest class has {counts.max():,} training images, the smallest {counts.min():,}: "
            "--set training.class_weights=balanced gives the small ones their weight."
        )
    gap = learned.accuracy - validation.accuracy
    if gap > _APART:
        lines.append(
            f"{100 * learned.accuracy:.1f}% of the training images are right, {100 * validation.accuracy:.1f}% of the "
            f"validation images: the model knows its images by heart. {_against_overfitting(recipe)}"
        )
    elif learned.accuracy < _TOO_LOW:
        longer = max(2 * recipe.training.epochs, enough_epochs(recipe, len(train_labels)))
        lines.append(
            f"Only {100 * learned.accuracy:.1f}% of the training images are right: train longer (--epochs {longer}), "
            "or a larger model."
        )
    if validation_images < _FEW_TO_VALIDATE:
        lines.append(
            f"{validation_images} validation images say little: one of them is {100 / validation_images:.1f} points. "
            "edgefm crossval uses every training image."
        )
    if suspects:
        shown = ", ".join(one.file or f"image {one.index}" for one in suspects[:_NAMED])
        lines.append(
            f"{len(suspects)} {'label' if len(suspects) == 1 else 'labels'} of validation images may be wrong (see "
            f"label_suspects of metrics.json): {shown}{', ...' if len(suspects) > _NAMED else ''}"
        )
    return tuple(lines)


def _against_overfitting(recipe: Recipe) -> str:
    part = recipe.augmentation
    if not (part.crop or part.policy != "none" or part.shift or part.rotation):
        return "More images, or augmentation, close the gap: --set augmentation.shift=2 --set augmentation.flip=true"
    return "More images close the gap, or stronger augmentation or a smaller model."


def notes_of_missing_classes(dataset: Dataset, validation: Split, *, test: bool) -> tuple[str, ...]:
    """One sentence for each set of classes that a split lacks, with what to do; none where every class is there.

    Args:
        dataset: whose test split is used.
        validation: the validation images.
        test: whether the test split is used.
    """
    splits = {"validation": validation, **({"test": dataset.test} if test else {})}
    lacking: dict[tuple[str, ...], list[str]] = {}
    names: Sequence[str] = dataset.label_names
    for part, split in splits.items():
        labels = split.labels
        if dataset.multi_label:
            sets = label_sets(dataset.label_names)
            names, labels = sets.names, sets.table[labels]
        if missing := missing_classes(labels, names):
            lacking.setdefault(missing, []).append(part)
    what = "labels" if dataset.multi_label else "classes"
    return tuple(
        f"{in_words(missing, len(names), what=what)} no {' and no '.join(parts)} images: the {' and '.join(parts)} "
        f"figures say nothing about {'it' if len(missing) == 1 else 'them'}. {_advice(dataset, parts)}"
        for missing, parts in lacking.items()
    )


def _advice(dataset: Dataset, parts: Sequence[str]) -> str:
    if dataset.train.groups:
        return "Add images from other groups, or read the source without groups: --group none"
    return f"Add images to the {' and the '.join(parts)} split."
