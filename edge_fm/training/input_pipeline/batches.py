"""The training images as Keras batches, each a pure function of (seed, epoch, batch)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_fm.models.keras_import import require_keras
from edge_fm.training.augmentation.mixing import mix
from edge_fm.training.input_pipeline.augmentation import augment
from edge_fm.training.input_pipeline.class_balance import balanced_order, class_weights
from edge_fm.training.input_pipeline.photo_augmentation import PhotoClasses, photo_classes, photograph
from edge_fm.training.recipe import AugmentationPart, Recipe

# First word of a generator's seed, so that none of them shares a stream with another.
_ORDER, _AUGMENT, _PHOTO = 1, 2, 3


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Batches of one epoch: whole ones only, but at least one.

    The images that are left over differ from epoch to epoch. A last batch of a few images would spoil the
    statistics of batch normalization.
    """
    return max(1, images // batch_size)


def is_clean(recipe: Recipe, epoch: int) -> bool:
    """Whether an epoch (from 0) is one of the last ones, which see the images as they are."""
    return epoch >= recipe.training.epochs - recipe.augmentation.clean_epochs


def view_of(recipe: Recipe, epoch: int) -> int:
    """The epoch whose images an epoch shows: itself, or with `views` of [distillation] one of the first ones."""
    views = recipe.distillation.views if recipe.distillation.teacher else 0
    return epoch if not views or is_clean(recipe, epoch) else epoch % views


def epoch_batches(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    recipe: Recipe,
    *,
    classes: int,
    epoch: int,
    label_names: Sequence[str] = (),
    teacher_predictions: NDArray[np.float32] | None = None,
    photo_like: bool = True,
    targets: NDArray[np.float32] | None = None,
) -> Any:
    """Build one epoch's batches.

    Args:
        images: uint8 `[N,H,W,C]`.
        labels: int64 `[N]`; `classes` for other things, see `other_things`.
        recipe: whose seed, batch size and augmentation are used.
        classes: length of a target.
        epoch: from 0.
        label_names: of the classes, for a recipe that names some.
        teacher_predictions: float32 `[steps*B,classes]`, for the images of `view_of` this epoch.
        photo_like: False leaves those images as they are that the recipe makes photo-like.
        targets: float32 `[K,classes]`, the target of each label; None for one class a label.

    Returns:
        keras.utils.PyDataset of (uint8 `[B,H,W,C]`, float32 `[B,classes]`): one-hot targets, or mixed ones with mixup
        or CutMix; with teacher predictions, `[B,2*classes]`: targets and predictions side by side. With class weights
        or other things each image's weight comes third, float32 `[B]`.
    """
    part = recipe.augmentation
    photos = photo_classes(part, label_names) if photo_like else None
    if is_clean(recipe, epoch):
        part = AugmentationPart(
            flip=part.flip, photo=part.photo, photo_spread=part.photo_spread, photo_paired=part.photo_paired
        )
    targets = np.eye(classes, dtype=np.float32) if targets is None else targets
    if recipe.data.other_things:
        targets = np.concatenate([targets, np.full((1, classes), 1 / classes, np.float32)])
    return _batches_class()(images, labels, recipe, targets, part, photos, epoch, teacher_predictions)


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
            photos: PhotoClasses | None,
            epoch: int,
            teacher_predictions: NDArray[np.float32] | None,
        ) -> None:
            # The backend asks for the next batch while one is learned from; streamed images are decoded by threads.
            super().__init__(workers=1, use_multiprocessing=False)
            self.error: Exception | None = None
            self._images, self._labels, self._targets = images, labels, targets
            self._size, self._fill = recipe.training.batch_size, recipe.photo.fill
            self._part, self._photos, self._seed = part, photos, recipe.seed
            self._teacher_predictions, self._epoch, self._view = teacher_predictions, epoch, view_of(recipe, epoch)
            rng = np.random.default_rng([_ORDER, recipe.seed, self._view, 0])
            balanced = recipe.training.balanced_sampling
            self._order = balanced_order(labels, rng) if balanced else rng.permutation(len(images))
            classes = targets.shape[1]
            self._weights = class_weights(recipe, labels[labels < classes], classes)
            self._part_of_others = recipe.data.other_things_weight if recipe.data.other_things else 0.0
            # A view that was shown before comes in another order of its batches.
            again = np.random.default_rng([_ORDER, recipe.seed, epoch, 1])
            self._sequence = range(len(self)) if epoch == self._view else again.permutation(len(self)).tolist()

        def __len__(self) -> int:
            return steps_per_epoch(len(self._images), self._size)

        def __getitem__(self, index: int) -> tuple[NDArray[Any], ...]:
            try:
                return self._batch(index)
            except Exception as error:
                self.error = error
                raise

        def _batch(self, index: int) -> tuple[NDArray[Any], ...]:
            batch = self._sequence[index]
            rows = slice(batch * self._size, (batch + 1) * self._size)
            selected = self._order[rows]
            rng = np.random.default_rng([_AUGMENT, self._seed, self._view, batch])
            images = self._images[selected]
            # The order is random, so the first ones are any.
            photos = round(self._part.photo * len(images))
            images, first = augment(images[photos:], self._part, rng, fill=self._fill), images[:photos]
            if photos:
                images = np.concatenate([self._photographed(first, self._labels[selected[:photos]], batch), images])
            images, targets = mix(images, self._targets[self._labels[selected]], self._part, rng)
            # A mixture weighs what its parts weigh.
            weights = () if self._weights is None else (targets @ self._weights,)
            if self._part_of_others:
                other = self._labels[selected] == self._targets.shape[1]
                own = weights[0] if weights else np.ones(len(images), np.float32)
                weights = (np.where(other, np.float32(self._part_of_others), own),)
            if self._teacher_predictions is not None:
                targets = np.concatenate([targets, self._teacher_predictions[rows]], axis=1)
            return images, targets, *weights

        def _photographed(self, images: NDArray[np.uint8], labels: NDArray[np.int64], batch: int) -> NDArray[np.uint8]:
            if self._photos is None:
                return images
            return photograph(
                images,
                # New in every epoch: the teachers' predictions for the image as it was before hold for each of them.
                np.random.default_rng([_PHOTO, self._seed, self._epoch, batch]),
                fill=self._fill,
                mirror=self._part.flip,
                spread=self._photos.spread[labels],
                paired=self._photos.paired[labels],
            )

    return EpochBatches
