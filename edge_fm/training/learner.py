"""The model and its optimizer, as a recipe wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_fm.models import build_model
from edge_fm.models.keras_import import require_keras
from edge_fm.training.checkpoint import RunState
from edge_fm.training.optimizers import build_optimizer, peak_rate
from edge_fm.training.recipe import Recipe
from edge_fm.training.schedules import build_schedule
from edge_fm.training.weights import load_weights
from edge_fm_runtime.errors import TrainingError

if TYPE_CHECKING:
    from edge_fm.data import Dataset

# Images of one batch where nothing is learned: large enough to be quick, small enough for large images.
_EVALUATION_BATCH = 250


class Learner:
    """The model, its optimizer and what both were built from."""

    def __init__(self, recipe: Recipe, dataset: Dataset, steps: int, *, weights: str) -> None:
        keras = require_keras("training")
        self.recipe, self.steps = recipe, steps
        self.classes = len(dataset.label_names)
        self.input_shape = dataset.train.images.shape[1:]
        self.model = self.fresh_model()
        load_weights(self.model, weights)
        schedule = build_schedule(
            recipe.schedule,
            peak=peak_rate(recipe.optimizer),
            steps_per_epoch=steps,
            epochs=recipe.training.epochs,
        )
        self.optimizer = build_optimizer(recipe.optimizer, schedule)
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=recipe.training.label_smoothing)
        self.model.compile(optimizer=self.optimizer, loss=loss, metrics=["accuracy"])
        # Built now, so that a checkpoint can be put into it before the first step.
        self.optimizer.build(self.model.trainable_variables)

    def fresh_model(self) -> Any:
        """The recipe's architecture, not compiled."""
        part = self.recipe.model
        return build_model(part.name, input_shape=self.input_shape, classes=self.classes, **part.options)

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
                    hint="It was written by another version; start the run anew (without --resume).",
                )
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32 `[N,classes]` for uint8 `[N,H,W,C]`."""
        answers: NDArray[np.float32] = self.model.predict(images, batch_size=_EVALUATION_BATCH, verbose=0)
        return answers


def score(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[float, float]:
    """Accuracy (a fraction) and mean negative log likelihood."""
    right = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    accuracy = float((probabilities.argmax(axis=1) == labels).mean())
    return accuracy, float(-np.log(np.maximum(right, 1e-12)).mean())
