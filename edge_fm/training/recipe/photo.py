"""The recipe `photo`, fitted to how many photos there are: of few photos a large network learns the very photos.

What is trained and for how long was found on phone photos of clothes by held-out senders: after 6 to 12 passes over
3,000 photos, the last third of EfficientNet-Lite0, with its batch normalization as it was, got 86 to 88% right; a new
head on its features alone got 80%.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from edge_fm.training.recipe import Recipe
from edge_fm.training.recipe.keys import with_keys

PHOTO = "photo"
"""The shipped recipe for colour photos."""

_FEW, _MANY = 1_000, 20_000
# The first stage of the last third, in which features of objects are made from those of their parts.
_LAST_THIRD: Mapping[str, str] = {
    **{f"efficientnet-lite{number}": "block6a" for number in range(5)},
    "efficientnet-v2-b0": "block6a",
    "mobilenet-v2": "block_13",
    "resnet50": "conv5",
}


def fitted_to_photos(recipe: Recipe, images: int, *, given: Collection[str] = ()) -> tuple[Recipe, str]:
    """Fit epochs, batches, frozen layers and augmentation of the recipe `photo` to the number of photos.

    Args:
        recipe: the recipe `photo`, with what the user changed.
        images: how many are learned from.
        given: keys that the user set, which stay; "training.epochs" stands for steps too.

    Returns:
        The recipe, and one sentence about it for the user.

    Example:
        >>> from edge_fm.training import load_recipe
        >>> few, many = (fitted_to_photos(load_recipe("photo"), images)[0] for images in (150, 100_000))
        >>> few.model.freeze_until, many.model.freeze_until
        ('block6a', '')
    """
    batch = recipe.training.batch_size if "training.batch_size" in given else _batch_size(images)
    steps = max(1, images // batch)
    last_third = _LAST_THIRD.get(recipe.model.name, "")
    trained = recipe.model.weights != "none"
    changes: dict[str, Any] = {"training.batch_size": batch, "training.epochs": _epochs(images, steps, trained=trained)}
    if trained:
        whole = images >= _MANY or not last_third
        changes |= {
            "model.freeze_until": "" if whole else last_third,
            "model.frozen_statistics": images < _MANY,
            "optimizer.first_layer_rate": 0.1 if whole else 0.28,
        }
    if images < _FEW:
        # A handful of validation images would select by chance.
        changes |= {"training.keep": "last", "training.patience": 0}
    if images >= _MANY:
        changes |= {"augmentation.crop": 0.25, "augmentation.policy": "trivial", "training.ema": 0.999}
    changes = {key: value for key, value in changes.items() if key not in given}
    if {"model.freeze", "model.unfreeze"} & set(given):
        changes.pop("model.freeze_until", None)
    fitted = with_keys(recipe, changes)
    part = fitted.model
    what = (
        "from fresh weights"
        if not trained
        else f"the head first, then from {part.freeze_until} on"
        if part.freeze_until
        else "the head first, then the backbone too"
        if part.freeze == "none"
        else "with a frozen backbone"
    )
    epochs = fitted.training.epochs
    length = f"{epochs} {'epoch' if epochs == 1 else 'epochs'} of {steps:,} {'step' if steps == 1 else 'steps'}"
    return fitted, (
        f"The recipe {PHOTO}, fitted to {images:,} photos to learn from: {length}, {what}. "
        "Set any key yourself: --set KEY=VALUE"
    )


def _batch_size(images: int) -> int:
    return 16 if images < 300 else 32 if images < _FEW else 64


def _epochs(images: int, steps: int, *, trained: bool) -> int:
    """Passes over the photos: about 200 steps at least and 40,000 at most; fresh weights need four times as many."""
    passes = 8 if images < _MANY else 6
    wanted = min(max(passes, math.ceil(200 / steps)), max(1, math.ceil(40_000 / steps)))
    return wanted if trained else min(200, 4 * wanted)
