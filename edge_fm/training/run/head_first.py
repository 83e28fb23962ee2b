"""A fresh head, fitted on the stored features of a trained backbone before the backbone is trained too.

The steps of a random head would spoil what the backbone knows ("Fine-Tuning can Distort Pretrained Features", Kumar et
al. 2022). On features that are computed once, an epoch of the head alone takes less than a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_fm.models.architectures.transfer import FEATURES
from edge_fm.models.keras_import import require_keras
from edge_fm.models.published_weights import copy_layers
from edge_fm.training.input_pipeline.backbone_features import halves_at, with_features
from edge_fm.training.input_pipeline.class_balance import class_weights
from edge_fm.training.recipe import Recipe
from edge_fm.training.streaming.keras_input import array_batches, keras_input
from edge_fm_runtime.progress import MessageFn, ProgressFn

if TYPE_CHECKING:
    from edge_fm.data import Split

_RATE = 2e-3
_REASON = "The head is fitted first, on the backbone as it is"
_ORDER = 4
"""First word of the seed of the order of images; see `batches`."""


def fit_head(
    model: Any,
    recipe: Recipe,
    images: NDArray[np.uint8],
    train_split: Split,
    targets: NDArray[np.float32],
    *,
    multi_label: bool = False,
    progress: ProgressFn,
    note: MessageFn,
) -> dict[str, float]:
    """Fit the head of a model whose backbone knows something, in place; the backbone stays as it is.

    Args:
        model: of the zoo, with a backbone, in float32.
        recipe: whose `head_epochs`, batch size, label smoothing and class weights are used.
        images: uint8 `[N,H,W,C]`, all that the training images were taken from.
        train_split: what the head learns from.
        targets: float32 `[K,outputs]`, what is learned for an image of each class.
        multi_label: whether the outputs are sigmoids.
        progress: called with "computing features", then with "fitting the head" after each epoch.
        note: called with where the features come from.

    Returns:
        "loss" and "accuracy" of the last epoch.
    """
    keras = require_keras("training")
    halves = halves_at(model, model.get_layer(FEATURES))
    (split,) = with_features(halves, recipe, images, (train_split,), progress=progress, note=note, reason=_REASON)
    weights = class_weights(recipe, split.labels, len(targets))
    image_weights = None if weights is None else weights[split.labels]
    epochs, size = recipe.training.head_epochs, min(recipe.training.batch_size, len(split))
    steps = max(1, len(split) // size)
    halves.head.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(_RATE, steps * epochs)),
        loss=(keras.losses.BinaryCrossentropy if multi_label else keras.losses.CategoricalCrossentropy)(
            label_smoothing=recipe.training.label_smoothing
        ),
        metrics=[keras.metrics.BinaryAccuracy(name="accuracy") if multi_label else "accuracy"],
    )
    logs: dict[str, Any] = {}
    for epoch in range(epochs):
        order = np.random.default_rng([_ORDER, recipe.seed, epoch]).permutation(len(split))[: steps * size]
        arrays: list[NDArray[Any]] = [split.images[order], targets[split.labels[order]]]
        if image_weights is not None:
            arrays.append(image_weights[order])
        batches = keras_input(array_batches(*arrays, batch_size=size))
        logs = halves.head.fit(batches, shuffle=False, verbose=0).history
        progress("fitting the head", epoch + 1, epochs)
    return {key: float(values[-1]) for key, values in logs.items()}


def copy_head(model: Any, target: Any) -> None:
    """Copy the layers after the features into another model of the same architecture."""
    names = [layer.name for layer in model.layers]
    copy_layers(model.layers[names.index(FEATURES) + 1 :], target)
