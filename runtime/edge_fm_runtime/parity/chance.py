"""Is a model that is judged by labels better than guessing? If not, the labels or the pixels are not what it knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_LITTLE_SKILL = 0.2
"""The share of the way from guessing to a faultless model below which agreement counts as slight (Landis and Koch
1977)."""
_ONE_SIDED = 0.8
"""The share of all predictions from which one class is called out as the only one."""
_REORDERED = 0.5
"""How accurate a model must be under other names before the order of the names is blamed."""

_LISTED, _SPELLED_OUT = 3, 20
"""How many exchanged names are shown, and up to how many classes the whole order is."""


def chance_warning(
    predicted: npt.NDArray[np.integer[Any]],
    labels: npt.NDArray[np.integer[Any]],
    label_names: Sequence[str],
    *,
    who: str,
    data: str,
) -> str | None:
    """Say that a model is hardly better than guessing on labelled images, and what usually causes it.

    The measure is balanced accuracy, adjusted for chance (scikit-learn's `balanced_accuracy_score(adjusted=True)`): 0
    for a model that guesses or always answers the same, however rare its class is; 1 for a faultless one. Below 0.2 is
    hardly better than guessing.

    Args:
        predicted: `[N]` classes that the model chose, 0..classes-1.
        labels: `[N]` true classes.
        label_names: one for each class.
        who: what to call the model, such as "The original model".
        data: what to call the images.

    Returns:
        A text for a person; None where the model is better than that.

    Example:
        >>> truth = np.array([0, 1, 2] * 20)
        >>> chance_warning(truth, truth, ["a", "b", "c"], who="The model", data="photos") is None
        True
        >>> str(chance_warning((truth + 1) % 3, truth, ["a", "b", "c"], who="The model", data="photos"))[:77]
        'The model is right on 0.0% of the 60 images of photos; guessing would be righ'
    """
    classes, n = len(label_names), len(labels)
    confusion = np.bincount(labels.astype(np.int64) * classes + predicted, minlength=classes * classes)
    confusion = confusion.reshape(classes, classes)
    occurring = confusion.sum(axis=1) > 0
    recalls = confusion.diagonal()[occurring] / confusion.sum(axis=1)[occurring]
    kinds = int(occurring.sum())
    guessing = 1.0 / (kinds if kinds > 1 else classes)
    if classes < 2 or (float(recalls.mean()) - guessing) / (1.0 - guessing) >= _LITTLE_SKILL:
        return None
    accuracy = 100.0 * float(confusion.trace()) / n
    told = (
        f"{who} is right on {accuracy:.1f}% of the {n:,} images of {data}; guessing would be right on "
        f"{100 * guessing:.1f}%. "
    )
    return told + _causes(confusion, label_names)


def _causes(confusion: npt.NDArray[np.int64], names: Sequence[str]) -> str:
    n = int(confusion.sum())
    predicted = confusion.sum(axis=0)
    used = np.flatnonzero(predicted)
    best = confusion.argmax(axis=0)[used]
    renamed = float(confusion[best, used].sum()) / n
    if len(used) > 1 and len(set(best.tolist())) == len(used) and renamed >= _REORDERED:
        wrong = [f"{names[u]} for {names[b]}" for u, b in zip(used.tolist(), best.tolist(), strict=True) if u != b]
        shown = ", ".join(wrong[:_LISTED]) + (", ..." if len(wrong) > _LISTED else "")
        order = ", ".join(names[b] for b in best.tolist()) if len(used) == len(names) <= _SPELLED_OUT else ""
        return (
            f"The labels are probably in another order than the model's outputs: it predicts {shown}; under those "
            f"names {100 * renamed:.1f}% would be right. Export it with the names in the order of its outputs, one a "
            f"line: --labels FILE{f' ({order})' if order else ''}"
        )
    largest = int(predicted.argmax())
    share = float(predicted[largest]) / n
    scaling = (
        "pixels that are scaled otherwise than in training (not at all: export it with --preset or --input-scale; "
        "twice: without these)"
    )
    others = (
        "labels in another order than the model's outputs (export it with --labels FILE), or images of another kind "
        "or colour than the model was trained on (--data SOURCE)"
    )
    if share >= _ONE_SIDED:
        return f"{100 * share:.0f}% of its predictions are {names[largest]}. Usual causes: {scaling}; {others}."
    return f"Usual causes: {others}; {scaling}."
