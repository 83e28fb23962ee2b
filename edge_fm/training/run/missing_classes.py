"""Sentences on the classes that the validation or the test images of a run lack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge_fm.data.label_sets import label_sets
from edge_fm.data.splitting.missing_classes import in_words, missing_classes

if TYPE_CHECKING:
    from edge_fm.data import Dataset, Split


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
