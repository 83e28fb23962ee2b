"""The training images as Keras batches, each a pure function of (seed, epoch, batch)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_fm.models.keras_import import require_keras
from edge_fm.training.augmentation import augment, mix
from edge_fm.training.photo_augmentation import PhotoClasses, photo_classes, photograph
from edge_fm.training.recipe import AugmentationPart, Recipe

# First word of a generator's seed, so that order and augmentation never share a stream.
_ORDER, _AUGMENT = 1, 2


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Batches of one epoch: whole ones only, but at least one.

    The images that are left over differ from epoch to epoch. A last batch of a few images would spoil the
    statistics of batch normalization.
    """
    return max(1, images // batch_size)


def epoch_batches(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    recipe: Recipe,
    *,
    classes: int,
    epoch: int,
    label_names: Sequence[str] = (),
) -> Any:
    """Build one epoch's batches.

    Args:
        images: uint8 `[N,H,W,C]`.
        labels: int64 `[N]`.
        recipe: whose seed, batch size and augmentation are used.
        classes: length of a target.
        epoch: from 0.
        label_names: of the classes, for a recipe that names some.

    Returns:
        keras.utils.PyDataset of (uint8 `[B,H,W,C]`, float32 `[B,classes]`): one-hot targets, or mixed ones with mixup.
    """
    clean = epoch >= recipe.training.epochs - recipe.augmentation.clean_epochs
    part = recipe.augmentation
    photos = photo_classes(part, label_names)
    if clean:
        part = AugmentationPart(
            flip=part.flip, photo=part.photo, photo_spread=part.photo_spread, photo_paired=part.photo_paired
        )
    return _batches_class()(images, labels, recipe, np.eye(classes, dtype=np.float32), part, photos, epoch)


@functools.cache
def _batches_class() -> Any:
    keras = require_keras("training")

    class EpochBatches(keras.utils.PyDataset):  # type: ignore[misc, name-defined]
        def __init__(
            self,
            images: NDArray[np.uint8],
            labels: NDArray[np.int64],
            recipe: Recipe,
            targets: NDArray[np.float32],
            part: AugmentationPart,
            photos: PhotoClasses,
            epoch: int,
        ) -> None:
            super().__init__(workers=1, use_multiprocessing=False)
            self._images, self._labels, self._targets = images, labels, targets
            self._size, self._fill = recipe.training.batch_size, recipe.photo.fill
            self._part, self._photos, self._seed, self._epoch = part, photos, recipe.seed, epoch
            self._order = np.random.default_rng([_ORDER, recipe.seed, epoch, 0]).permutation(len(images))

        def __len__(self) -> int:
            return steps_per_epoch(len(self._images), self._size)

        def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
            chosen = self._order[index * self._size : (index + 1) * self._size]
            rng = np.random.default_rng([_AUGMENT, self._seed, self._epoch, index])
            images = self._images[chosen]
            # The order is random, so the first ones are any.
            photos = round(self._part.photo * len(images))
            images, first = augment(images[photos:], self._part, rng, fill=self._fill), images[:photos]
            if photos:
                shot = photograph(
                    first,
                    rng,
                    fill=self._fill,
                    mirror=self._part.flip,
                    spread=self._photos.spread[self._labels[chosen[:photos]]],
                    paired=self._photos.paired[self._labels[chosen[:photos]]],
                )
                images = np.concatenate([shot, images])
            return mix(images, self._targets[self._labels[chosen]], self._part.mixup, rng)

    return EpochBatches
