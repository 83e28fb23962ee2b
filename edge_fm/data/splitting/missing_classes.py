"""Which classes have no image in a split: what is measured on it says nothing about them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.photos.file import shown_name

_NAMED = 5


def missing_classes(labels: npt.NDArray[np.int64], names: Sequence[str]) -> tuple[str, ...]:
    """The classes without images.

    Args:
        labels: int64 `[N]`, the class of each image; of a multi-label dataset `[N,labels]`, 1 where a label applies.
        names: of the classes, or of the labels.

    Example:
        >>> missing_classes(np.array([0, 0, 2]), ["cat", "dog", "hen"])
        ('dog',)
    """
    counts = labels.sum(axis=0) if labels.ndim == 2 else np.bincount(labels, minlength=len(names))
    return tuple(name for name, count in zip(names, counts, strict=True) if not count)


def in_words(missing: Sequence[str], classes: int, *, what: str = "classes") -> str:
    """The missing classes as the subject of a sentence, the first few of them by name.

    Example:
        >>> in_words(["dog"], 3)
        '1 of 3 classes (dog) has'
    """
    named = ", ".join(map(shown_name, missing[:_NAMED])) + (
        f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    )
    return f"{len(missing)} of {classes} {what} ({named}) {'has' if len(missing) == 1 else 'have'}"
