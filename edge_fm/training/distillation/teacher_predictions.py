"""Teachers' predictions for the views of the training images that a recipe repeats, computed once and stored on disk.

A run with other weights, another model or another loss that shows the same images finds the same predictions: a teacher
predicts once for all students of one seed.

Of an image that is made photo-like, a teacher sees what it was before: it knows such images, and the class is the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_fm.models.keras_import import require_keras
from edge_fm.training.distillation.distillation import mean_of_teachers
from edge_fm.training.input_pipeline.array_cache import ArrayCache, bytes_hash
from edge_fm.training.input_pipeline.batches import epoch_batches, is_clean, view_of
from edge_fm.training.recipe import Recipe
from edge_fm.training.streaming.failing_batches import raising_own_errors
from edge_fm.training.streaming.keras_input import keras_input
from edge_fm_runtime.errors import TrainingError
from edge_fm_runtime.progress import ProgressFn

if TYPE_CHECKING:
    from edge_fm.data import Dataset, Split

# Raised when the same teachers and settings would mean other images.
_VERSION = 4


class TeacherPredictions:
    """The mean of the teachers' predictions, view by view.

    Args:
        teachers: Keras models, the recipe's.
        recipe: whose [distillation] `views` is above 0, and whose teachers' hashes are known.
        train_split: the images that are learned from.
        dataset: what they were taken from.
    """

    def __init__(self, teachers: Sequence[Any], recipe: Recipe, train_split: Split, dataset: Dataset) -> None:
        self._recipe, self._split, self._dataset = recipe, train_split, dataset
        self._model = mean_of_teachers(teachers)
        self._cache = ArrayCache("teachers", _facts(recipe, train_split, dataset), what="teacher predictions")

    @property
    def note(self) -> str:
        """Where they are stored, in one sentence."""
        views = self._recipe.distillation.views
        if self._cache.folder is None:
            return "The teachers predict in every epoch: there is no cache folder that can be written to."
        return f"The teachers' predictions for {views} views of the images are stored in {self._cache.folder}."

    def of_epoch(self, epoch: int, progress: ProgressFn) -> NDArray[np.float32]:
        """The predictions for the images that an epoch shows.

        Args:
            epoch: from 0.
            progress: called with "teacher predictions" where they are not stored yet.

        Returns:
            float32 `[steps*B,classes]`, in the order of the batches of `view_of(recipe, epoch)`.

        Raises:
            TrainingError: some predictions are not finite.
        """
        view = view_of(self._recipe, epoch)
        name = f"{'clean' if is_clean(self._recipe, epoch) else 'view'}-{view}.npy"
        batches = epoch_batches(
            self._split.images,
            self._split.labels,
            self._recipe,
            classes=len(self._dataset.label_names),
            epoch=view,
            label_names=self._dataset.label_names,
            photo_like=False,
        )
        size = min(self._recipe.training.batch_size, len(self._split))
        stored = self._cache.read(name, (len(batches) * size, len(self._dataset.label_names)))
        if stored is not None:
            return stored
        progress("teacher predictions", 0, len(batches))
        reporting = _progress_callback(progress, len(batches))
        with raising_own_errors(batches):
            predicted = self._model.predict(keras_input(batches), verbose=0, callbacks=[reporting])
        predictions = np.asarray(predicted, np.float32)
        wrong = int((~np.isfinite(predictions)).any(axis=1).sum())
        if wrong:
            raise TrainingError(
                f"The teachers' predictions are not finite for {wrong:,} of {len(predictions):,} images, in "
                f"{self._recipe.training.precision}.",
                hint="Try --set training.precision=float32. Where they are not finite in it either, train the teachers "
                "again.",
            )
        self._cache.write(name, predictions)
        return predictions


def _progress_callback(progress: ProgressFn, steps: int) -> Any:
    def on_batch_end(batch: int, logs: object = None) -> None:
        progress("teacher predictions", batch + 1, steps)

    return require_keras("distillation").callbacks.LambdaCallback(on_predict_batch_end=on_batch_end)


def _facts(recipe: Recipe, train_split: Split, dataset: Dataset) -> dict[str, Any]:
    """All that the predictions depend on, but for the view's number."""
    augmentation = dataclasses.asdict(recipe.augmentation)
    del augmentation["clean_epochs"]  # a clean epoch's predictions lie in a file of their own
    return {
        "version": _VERSION,
        "numpy": np.__version__,
        "teachers": list(recipe.distillation.sha256),
        "precision": recipe.training.precision,
        "seed": recipe.seed,
        "batch_size": recipe.training.batch_size,
        "augmentation": augmentation,
        "fill": recipe.photo.fill,
        "images": [list(train_split.images.shape), bytes_hash(train_split.images, train_split.labels)],
        "labels": list(dataset.label_names),
    }
