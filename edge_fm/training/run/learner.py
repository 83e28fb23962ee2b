"""The model and its optimizer, as a recipe describes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_fm.data.label_sets import label_sets
from edge_fm.data.streaming.images import concatenate
from edge_fm.models import build_model
from edge_fm.models.freezing import freeze_layers
from edge_fm.models.keras_import import require_keras
from edge_fm.models.sigmoids import end_in_sigmoids
from edge_fm.training.distillation.distillation import (
    distillation_accuracy,
    distillation_loss,
    load_teachers,
    with_teachers,
)
from edge_fm.training.input_pipeline.backbone_features import NO_BACKBONE, split_at_features, with_features
from edge_fm.training.optimization.fast_layers import with_fast_layers
from edge_fm.training.optimization.initial_weights import load_weights
from edge_fm.training.optimization.layer_rates import layer_rates
from edge_fm.training.optimization.optimizers import build_optimizer
from edge_fm.training.optimization.schedules import build_schedule
from edge_fm.training.optimization.weight_averaging import recompute_statistics, statistics_batches
from edge_fm.training.recipe import Recipe
from edge_fm.training.run.checkpoint import RunState
from edge_fm.training.run.head_first import copy_head, fit_head
from edge_fm.training.streaming.prediction import predict
from edge_fm_runtime.errors import TrainingError
from edge_fm_runtime.progress import MessageFn, ProgressFn

if TYPE_CHECKING:
    from edge_fm.data import Dataset, Split

# Images of one batch where nothing is learned: large enough to be quick, small enough for large images.
_EVALUATION_BATCH = 250


class Learner:
    """The model, its optimizer and what both were built from.

    Attributes:
        model: learns, in the recipe's precision.
        evaluated: what is evaluated and saved: the model itself, or one in float32, of Keras's own layers, with its
            weights or their average.
        fitted: what Keras fits: the model, the model beside its teachers, or what follows stored features.
        teachers: models to learn from; none without distillation.
        halves: the model, split where its training begins; None where they are not stored.
        why_not_split: why the model is not split at its features; None where it is.
        labels: what the outputs are called.
        targets: float32 `[K,outputs]`, what is learned for an image of each of the dataset's K classes.
        multi_label: whether the outputs are sigmoids, any number of which may apply.
    """

    def __init__(self, recipe: Recipe, dataset: Dataset, steps: int, *, weights: str) -> None:
        self.recipe, self.steps = recipe, steps
        self.multi_label = dataset.multi_label
        self.labels, self.targets = dataset.label_names, np.eye(len(dataset.label_names), dtype=np.float32)
        if self.multi_label:
            sets = label_sets(dataset.label_names)
            self.labels, self.targets = sets.names, sets.table.astype(np.float32)
        self.classes = len(self.labels)
        self.input_shape = dataset.train.images.shape[1:]
        with _policy(recipe.training.precision):
            built = self.fresh_model()
        self.weights_note = load_weights(built, weights, name=recipe.model.name, options=recipe.model.options)
        _freeze(built, recipe)
        self.model = with_fast_layers(built)
        schedule = build_schedule(
            recipe.schedule,
            peak=recipe.optimizer.peak_rate,
            steps_per_epoch=steps,
            epochs=recipe.training.epochs,
        )
        rates = layer_rates(self.model, recipe.optimizer)
        self.optimizer = build_optimizer(recipe.optimizer, schedule, ema=recipe.training.ema, rates=rates)
        plain = recipe.training.precision == "float32" and not recipe.training.ema and self.model is built
        self.evaluated = self.model if plain else self.fresh_model()
        _freeze(self.evaluated, recipe)
        self.halves, self.why_not_split = split_at_features(
            self.model, recipe, images=len(_train_and_validation_images(dataset))
        )
        self.fitted = self._compile(dataset)
        # Built now, so that a checkpoint can be put into it before the first step.
        self.optimizer.build(self.model.trainable_variables)

    def _compile(self, dataset: Dataset) -> Any:
        keras = require_keras("training")
        part, smoothing = self.recipe.distillation, self.recipe.training.label_smoothing
        self.teachers = load_teachers(part, dataset, precision=self.recipe.training.precision)
        if self.teachers:
            fitted = self.model if part.views else with_teachers(self.model, self.teachers)
            loss, metric = distillation_loss(part, label_smoothing=smoothing), distillation_accuracy(part)
        else:
            fitted = self.halves.head if self.halves else self.model
            loss, metric = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing), "accuracy"
            if self.multi_label:
                loss = keras.losses.BinaryCrossentropy(label_smoothing=smoothing)
                metric = keras.metrics.BinaryAccuracy(name="accuracy")
        fitted.compile(optimizer=self.optimizer, loss=loss, metrics=[metric])
        # The metrics' variables: made in the first step, they would have TensorFlow trace it twice.
        targets = self.classes * (2 if self.teachers and part.views else 1)
        zeros = keras.ops.zeros
        fitted.compute_metrics(None, zeros((1, targets)), zeros((1, *fitted.output_shape[1:])))
        fitted.reset_metrics()
        return fitted

    def fresh_model(self) -> Any:
        """The recipe's architecture, not compiled."""
        part = self.recipe.model
        model = build_model(part.name, input_shape=self.input_shape, classes=self.classes, **part.options)
        return end_in_sigmoids(model) if self.multi_label else model

    def update_evaluated(self, batches: Any) -> list[NDArray[Any]]:
        """Bring the model that is evaluated up to date.

        Args:
            batches: an epoch's, for the statistics of averaged weights.

        Returns:
            Its weights.
        """
        if self.evaluated is not self.model:
            values = {id(v): v for v in self.model.weights}
            if self.recipe.training.ema:
                averages = zip(self.model.trainable_variables, self.optimizer.averages, strict=True)
                values |= {id(variable): average for variable, average in averages}
            self.evaluated.set_weights([values[id(v)].numpy() for v in self.model.weights])
            if self.recipe.training.ema:
                recompute_statistics(self.evaluated, statistics_batches(batches, self.recipe.training.batch_size))
        weights: list[NDArray[Any]] = self.evaluated.get_weights()
        return weights

    def inputs_of(self, dataset: Dataset, *parts: Split, progress: ProgressFn, note: MessageFn) -> tuple[Split, ...]:
        """What is learned from and evaluated on: the images, or their features where these can be stored.

        Args:
            dataset: whose training and validation images the parts were taken from.
            parts: uint8 images and labels.
            progress: called as features are computed.
            note: called with where features come from.
        """
        if self.halves:
            images = _train_and_validation_images(dataset)
            return with_features(self.halves, self.recipe, images, parts, progress=progress, note=note)
        if self.why_not_split != NO_BACKBONE:
            note(f"The backbone's features are computed for every batch and not stored: {self.why_not_split}.")
        return parts

    def select(self, weights: Sequence[NDArray[Any]]) -> None:
        """Put weights, such as those of the best epoch, into the model that is evaluated."""
        self.evaluated.set_weights(weights)
        if self.halves:
            self.model.set_weights(weights)  # the head that evaluates stored features is a part of it

    def fit_head_first(self, dataset: Dataset, train_split: Split, *, progress: ProgressFn, note: MessageFn) -> None:
        """Fit the head alone, as `head_epochs` says; before the first epoch of a run."""
        self.evaluated.set_weights(self.model.get_weights())
        images = _train_and_validation_images(dataset)
        logs = fit_head(
            self.evaluated,
            self.recipe,
            images,
            train_split,
            self.targets,
            multi_label=self.multi_label,
            progress=progress,
            note=note,
        )
        if self.evaluated is not self.model:
            copy_head(self.evaluated, self.model)
        note(
            f"The head alone, after {self.recipe.training.head_epochs} epochs on the backbone's features: "
            f"loss {logs['loss']:.4f}, training accuracy {100 * logs['accuracy']:.2f}%."
        )

    def restore(self, state: RunState) -> None:
        """Put a checkpoint into the model and the optimizer."""
        for kind, variables, values in (
            ("model", self.model.variables, state.model),
            ("optimizer", self.optimizer.variables, state.optimizer),
        ):
            ours, theirs = [tuple(v.shape) for v in variables], [value.shape for value in values]
            if ours != theirs:
                raise TrainingError(
                    f"The checkpoint's {kind} has {len(theirs)} variables of other shapes "
                    f"than this version's {len(ours)}.",
                    hint="It was written by another version; start the run again (without --resume).",
                )
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32 `[N,classes]` for uint8 `[N,H,W,C]`, or for the features that stand for these."""
        evaluated = self.halves.head if self.halves and images.dtype != np.uint8 else self.evaluated
        return predict(evaluated, images, batch_size=_EVALUATION_BATCH)


def _train_and_validation_images(dataset: Dataset) -> NDArray[np.uint8]:
    """All images of training and validation."""
    if dataset.validation is None:
        return dataset.train.images
    return concatenate([dataset.train.images, dataset.validation.images])


def _freeze(model: Any, recipe: Recipe) -> None:
    part = recipe.model
    freeze_layers(model, *part.frozen, until=part.freeze_until, statistics=part.frozen_statistics)


@contextmanager
def _policy(precision: str) -> Iterator[None]:
    """Build layers in a precision."""
    config = require_keras("training").config
    before = config.dtype_policy()
    config.set_dtype_policy(precision)
    try:
        yield
    finally:
        config.set_dtype_policy(before)
