"""What teachers say to the views of the training images that a recipe repeats, asked once and kept on disk.

A run with other weights, another model or another loss that shows the same images finds the same answers: a teacher is
asked once for all students of one seed.

About an image that is made photo-like a teacher is asked as it was before: it knows that image, and whatever it says of
it is true of the photo, too.
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
from edge_fm_runtime.errors import TrainingError
from edge_fm_runtime.progress import ProgressFn

if TYPE_CHECKING:
    from edge_fm.data import Dataset, Split

# Raised when the same teachers and settings would mean other images.
_VERSION = 4


class TeacherPredictions:
    """The teachers' mean answers, view by view.

    Args:
        teachers: Keras models, the recipe's.
        recipe: whose [distillation] `views` is above 0, and whose teachers' hashes are known.
        learn: the images that are learned from.
        dataset: what they were taken from.
    """

    def __init__(self, teachers: Sequence[Any], recipe: Recipe, learn: Split, dataset: Dataset) -> None:
        self._recipe, self._learn, self._dataset = recipe, learn, dataset
        self._model = mean_of_teachers(teachers)
        self._cache = ArrayCache("teachers", _facts(recipe, learn, dataset), what="teacher predictions")

    @property
    def note(self) -> str:
        """Where they are, a line for a person."""
        views = self._recipe.distillation.views
        if self._cache.folder is None:
            return "The teachers are asked in every epoch: their answers have no cache folder that can be written to."
        return f"The teachers' answers to {views} views of the images are kept in {self._cache.folder}."

    def to(self, epoch: int, progress: ProgressFn) -> NDArray[np.float32]:
        """The answers to the images that an epoch shows.

        Args:
            epoch: from 0.
            progress: told "asking the teachers" where they have not been asked before.

        Returns:
            float32 `[steps*B,classes]`, in the order of the batches of `view_of(recipe, epoch)`.

        Raises:
            TrainingError: the teachers answer with what is no number.
        """
        view = view_of(self._recipe, epoch)
        name = f"{'clean' if is_clean(self._recipe, epoch) else 'view'}-{view}.npy"
        batches = epoch_batches(
            self._learn.images,
            self._learn.labels,
            self._recipe,
            classes=len(self._dataset.label_names),
            epoch=view,
            label_names=self._dataset.label_names,
            photograph_them=False,
        )
        size = min(self._recipe.training.batch_size, len(self._learn))
        stored = self._cache.read(name, (len(batches) * size, len(self._dataset.label_names)))
        if stored is not None:
            return stored
        progress("asking the teachers", 0, len(batches))
        asked = _asking_callback(progress, len(batches))
        answers = np.asarray(self._model.predict(batches, verbose=0, callbacks=[asked]), np.float32)
        if not np.isfinite(answers).all():
            raise TrainingError(
                f"The teachers' answers are no numbers for {int((~np.isfinite(answers)).any(axis=1).sum()):,} of "
                f"{len(answers):,} images, in {self._recipe.training.precision}.",
                hint="Try --set training.precision=float32; where they are none there either, train the teachers anew.",
            )
        self._cache.write(name, answers)
        return answers


def _asking_callback(progress: ProgressFn, steps: int) -> Any:
    def tell(batch: int, logs: object = None) -> None:
        progress("asking the teachers", batch + 1, steps)

    return require_keras("distillation").callbacks.LambdaCallback(on_predict_batch_end=tell)


def _facts(recipe: Recipe, learn: Split, dataset: Dataset) -> dict[str, Any]:
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
        "images": [list(learn.images.shape), bytes_hash(learn.images, learn.labels)],
        "labels": list(dataset.label_names),
    }
