"""Is a model right as often as it should be on labelled images? If not, what usually causes that."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.parity.label_order import LabelOrder, confusion_matrix, find_label_order
from edge_fm_runtime.parity.own_training import OwnTraining

_LITTLE_SKILL = 0.2
"""The share of the way from guessing to a faultless model below which agreement counts as slight (Landis and Koch
1977)."""
_ONE_SIDED = 0.8
"""The share of all predictions from which one class is called out as the only one."""
_REORDERED, _REORDERED_GAIN = 0.5, 0.4
"""How accurate a model that is hardly better than guessing must be under other names, and how much more accurate than
now, before the order of the names is blamed."""
_BY_HEART = 0.8
"""How accurate on its training images a model must be before more epochs are no advice."""

_LISTED, _SPELLED_OUT = 3, 20
"""How many exchanged names are shown, and up to how many classes the whole order is."""


def accuracy_warning(
    predicted: npt.NDArray[np.integer[Any]],
    labels: npt.NDArray[np.integer[Any]],
    label_names: Sequence[str],
    *,
    who: str,
    data: str,
    trained: OwnTraining | None = None,
) -> str | None:
    """Say that a model is hardly better than guessing on labelled images, or would be far better under other names.

    The measure is balanced accuracy, adjusted for chance (scikit-learn's `balanced_accuracy_score(adjusted=True)`): 0
    for a model that guesses or always predicts one class, however rare that is; 1 for a faultless one. Below 0.2 is
    hardly better than guessing. For other names see `label_order`.

    Args:
        predicted: `[N]` classes that the model predicts, 0..classes-1.
        labels: `[N]` true classes.
        label_names: one for each class.
        who: what to call the model, such as "The original model".
        data: what to call the images: the dataset and the split.
        trained: of a model of ours; its scaling is inside, and its labels have the order of the data it learned from.

    Returns:
        A text for a person, with what usually causes it; None where there is nothing to say.

    Example:
        >>> truth = np.array([0, 1, 2] * 20)
        >>> accuracy_warning(truth, truth, ["a", "b", "c"], who="The model", data="photos") is None
        True
        >>> str(accuracy_warning((truth + 1) % 3, truth, ["a", "b", "c"], who="The model", data="photos"))[:77]
        'The model is right on 0.0% of the 60 images of photos; guessing would be righ'
    """
    classes, n = len(label_names), len(labels)
    if classes < 2:
        return None
    confusion = confusion_matrix(predicted, labels, classes)
    occurring = confusion.sum(axis=1) > 0
    recalls = confusion.diagonal()[occurring] / confusion.sum(axis=1)[occurring]
    kinds = int(occurring.sum())
    guessing = 1.0 / (kinds if kinds > 1 else classes)
    slight = (float(recalls.mean()) - guessing) / (1.0 - guessing) < _LITTLE_SKILL
    own_data = trained is not None and data.startswith(f"{trained.data} ")
    order = None if own_data else find_label_order(predicted, labels, classes)
    if order is None and slight and not own_data:
        order = _whole_order(confusion)
    accuracy = 100.0 * float(confusion.trace()) / n
    text = f"{who} is right on {accuracy:.1f}% of the {n:,} images of {data}"
    if slight:
        text += f"; guessing would be right on {100 * guessing:.1f}%"
    if order is not None:
        return f"{text}. {_exchanged(order, label_names)}"
    if not slight:
        return None
    causes = _causes(confusion, label_names) if trained is None else _causes_of_own(trained, own_data=own_data)
    return f"{text}. {causes}"


def _whole_order(confusion: npt.NDArray[np.int64]) -> LabelOrder | None:
    """Other names for every output that was predicted, where few images of each class are at hand."""
    n = int(confusion.sum())
    used = np.flatnonzero(confusion.sum(axis=0))
    best = confusion.argmax(axis=0)[used]
    now, renamed = float(confusion.trace()) / n, float(confusion[best, used].sum()) / n
    if len(used) < 2 or len(set(best.tolist())) < len(used) or renamed < max(_REORDERED, now + _REORDERED_GAIN):
        return None
    return LabelOrder({u: b for u, b in zip(used.tolist(), best.tolist(), strict=True) if u != b}, now, renamed)


def _exchanged(order: LabelOrder, names: Sequence[str]) -> str:
    wrong = [f"{names[output]} for {names[true]}" for output, true in order.renamed.items()]
    shown = ", ".join(wrong[:_LISTED]) + (", ..." if len(wrong) > _LISTED else "")
    whole = order.order(len(names)) if len(names) <= _SPELLED_OUT else None
    spelled = "" if whole is None else f" ({', '.join(names[index] for index in whole)})"
    return (
        f"The labels are probably in another order than the model's outputs: it predicts {shown}; under those "
        f"names {100 * order.accuracy_renamed:.1f}% would be right. Export it with the names in the order of its "
        f"outputs, one a line: --labels FILE{spelled}"
    )


def _causes(confusion: npt.NDArray[np.int64], names: Sequence[str]) -> str:
    """What usually makes a third-party model guess."""
    n = int(confusion.sum())
    predicted = confusion.sum(axis=0)
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


def _causes_of_own(trained: OwnTraining, *, own_data: bool) -> str:
    """What usually makes a model of ours guess: it has not learned, or not these images."""
    epochs = trained.epochs
    how_long = "" if epochs is None else f" for {epochs:,} epoch{'s' * (epochs != 1)}"
    text = f"It was trained{how_long} on {trained.data}"
    other = f"images of another kind or colour than those of {trained.data}"
    if trained.accuracy is not None and trained.accuracy >= _BY_HEART:
        text += f" and is right on {100 * trained.accuracy:.1f}% of its training images"
        shown = "" if trained.source is None else f": edgefm data show {shlex.quote(trained.source)}"
        learned = f"too few training images, learned by heart, or images that are labelled otherwise{shown}"
        return f"{text}. Usual causes: {learned if own_data else f'{other}; {learned}'}"
    learned = f"too few epochs, or a learning rate that does not suit (--learning-rate): {trained.again()}"
    return f"{text}. Usual causes: {learned if own_data else f'{other}; {learned}'}"
