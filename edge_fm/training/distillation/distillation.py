"""Distillation: the teachers of a recipe, the model that is fitted, and its loss.

The teachers predict inside the training step, for the very images that the student sees, on the backend's own device;
or once for each of some views of the images, and their predictions are stored (`teacher_predictions`).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.models.keras_import import require_keras
from edge_fm.models.records import trained_model
from edge_fm.models.run_files import METRICS_FILE, MODEL_FILE
from edge_fm.models.trained_logits import undo_temperature
from edge_fm.training.recipe import DistillationPart, Recipe
from edge_fm_export.task import task_of
from edge_fm_export.third_party_models.keras_file import read_config, sha256_of
from edge_fm_export.third_party_models.safety import require_plain
from edge_fm_runtime.errors import ModelError, TrainingError
from edge_fm_runtime.system.brief_errors import brief
from edge_fm_runtime.system.json_text import parse_json

if TYPE_CHECKING:
    from edge_fm.data import Dataset

# The least probability whose logarithm is taken; float32 holds it without loss.
_LEAST = 1e-30


def with_teacher_hashes(recipe: Recipe) -> Recipe:
    """Write the hash of each teacher's file into the recipe.

    Raises:
        TrainingError: there is no such teacher, or its file is not the one that the recipe names.
    """
    part = recipe.distillation
    if not part.teacher:
        return recipe
    hashes = tuple(sha256_of(teacher_file(path)) for path in part.teacher)
    for path, known, found in zip(part.teacher, part.sha256, hashes, strict=False):
        if known != found:
            raise TrainingError(
                f"The teacher {path} is not the one that the recipe names: SHA-256 {known[:12]} there, "
                f"{found[:12]} here.",
                hint="Bring the file back, or leave sha256 out of [distillation] and start a new run.",
            )
    return dataclasses.replace(recipe, distillation=dataclasses.replace(part, sha256=hashes))


def teacher_file(path: str) -> Path:
    """The .keras file of a teacher: itself, or that of the finished run in a folder or in the package.

    Raises:
        TrainingError: there is none.
    """
    place = trained_model(path)
    file = place / MODEL_FILE if place.is_dir() else place
    if not file.is_file():
        what = "a folder without a finished run" if place.is_dir() else "no file or folder"
        raise TrainingError(
            f"The teacher {path} is {what}; supported: a run folder with {MODEL_FILE}, a .keras "
            "file, or a trained model of the package.",
            hint="Train the teacher first, and name its run in the recipe's [distillation] teacher.",
        )
    return file


def load_teachers(part: DistillationPart, dataset: Dataset, *, precision: str = "float32") -> list[Any]:
    """Load the teachers, and check that they take the same images and know the same classes.

    Args:
        part: the recipe's [distillation].
        dataset: what is learned.
        precision: of the recipe's training, and of its teachers' arithmetic; their probabilities are float32 in any
            case. Teachers that hold other models predict in their own precision.

    Returns:
        Keras models: uint8 `[N,H,W,C]` -> probabilities `[N,classes]`, in the order of the recipe.

    Raises:
        ModelError: a file is not a Keras model, or it takes other images or knows other classes than the dataset.
    """
    return [_with_precision(_load_teacher(path, dataset), precision) for path in part.teacher]


def _with_precision(model: Any, precision: str) -> Any:
    keras = require_keras("distillation")
    if precision == "float32" or any(isinstance(layer, keras.Model) for layer in model.layers):
        return model

    def copy(layer: Any) -> Any:
        config = layer.get_config()
        # An operation that is no layer, such as resizing, has no precision of its own. The last layer, a softmax, gives
        # the probabilities.
        if isinstance(layer, keras.Layer) and layer is not model.layers[-1]:
            config |= {"dtype": precision}
        return type(layer).from_config(config)

    made = keras.models.clone_model(model, clone_function=copy)
    made.set_weights(model.get_weights())
    return made


def _load_teacher(path: str, dataset: Dataset) -> Any:
    keras = require_keras("distillation")
    file = teacher_file(path)
    require_plain(read_config(file), file, advice="A teacher is made of Keras's own layers, as edgefm train makes it.")
    try:
        model = keras.saving.load_model(file, compile=False)
    except Exception as error:
        # Whatever Keras raises on a file of another version or with code in it.
        raise ModelError(
            f"Keras cannot load the teacher {file}: {brief(error)}", hint="Train the teacher again."
        ) from error
    inputs: list[Any] = getattr(model, "inputs", None) or []
    outputs: list[Any] = getattr(model, "outputs", None) or []
    if len(inputs) != 1 or len(outputs) != 1 or len(outputs[0].shape) != 2 or inputs[0].dtype != "uint8":
        raise ModelError(
            f"The teacher {file} is not a classifier of uint8 pixels.",
            hint="A teacher takes uint8 images [N,H,W,C] and gives probabilities [N,classes], as edgefm train makes.",
        )
    shape, wanted = tuple(inputs[0].shape[1:]), dataset.train.images.shape[1:]
    if shape != wanted:
        raise ModelError(
            f"The teacher {file} takes images {list(shape)}, but those of {dataset.name} are {list(wanted)}.",
            hint="Train the teacher on this data, or bring the images to its size: shape in the recipe's [data].",
        )
    labels = _labels(file)
    if labels is not None and labels != dataset.label_names:
        raise ModelError(
            f"The teacher {file} knows the classes {', '.join(labels)}; those of {dataset.name} are "
            f"{', '.join(dataset.label_names)}.",
            hint="A teacher must have learned the same classes in the same order.",
        )
    classes = int(outputs[0].shape[-1])
    if classes != len(dataset.label_names):
        raise ModelError(
            f"The teacher {file} knows {classes} classes, but {dataset.name} has {len(dataset.label_names)}.",
            hint="A teacher must have learned the same classes in the same order.",
        )
    if task_of(model) is not None:
        raise ModelError(
            f"The teacher {file} is multi-label; a teacher predicts one class of many.",
            hint="Name another teacher, or leave it out: --set distillation.teacher=[]",
        )
    undo_temperature(model, file)
    return model


def _labels(file: Path) -> tuple[str, ...] | None:
    """The label names of a run's model; None for a file outside a run."""
    metrics = file.parent / METRICS_FILE
    if file.name != MODEL_FILE or not metrics.is_file():
        return None
    try:
        return tuple(parse_json(metrics.read_text("utf-8"))["labels"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{metrics} cannot be read: {error}.", hint="Train the teacher again.") from error


def with_teachers(student: Any, teachers: Sequence[Any]) -> Any:
    """A model to fit: the student's predictions and the mean of the teachers' side by side.

    Returns:
        keras.Model: uint8 `[N,H,W,C]` -> float32 `[N, 2 * classes]`; its trainable variables are the student's, in the
        student's order.
    """
    keras = require_keras("distillation")
    image = keras.Input(student.inputs[0].shape[1:], dtype="uint8", name="image")
    taught = _teachers_class()(teachers, name="teachers")(image)
    both = keras.layers.Concatenate(dtype="float32", name="both")([student(image), taught])
    return keras.Model(image, both, name="distillation")


@functools.cache
def _teachers_class() -> Any:
    keras = require_keras("distillation")

    class Teachers(keras.layers.Layer):  # type: ignore[misc, name-defined]
        """The mean of some models' predictions, never in training mode, whatever the model around it is in."""

        def __init__(self, teachers: Sequence[Any], **options: Any) -> None:
            super().__init__(trainable=False, dtype="float32", **options)
            self.teachers = list(teachers)
            for teacher in self.teachers:
                teacher.trainable = False

        def call(self, images: Any) -> Any:
            outputs = [keras.ops.cast(teacher(images, training=False), "float32") for teacher in self.teachers]
            return sum(outputs[1:], outputs[0]) / len(outputs)

    return Teachers


def mean_of_teachers(teachers: Sequence[Any]) -> Any:
    """A model of the mean of the teachers' predictions: uint8 `[N,H,W,C]` -> float32 `[N,classes]`."""
    keras = require_keras("distillation")
    image = keras.Input(teachers[0].inputs[0].shape[1:], dtype="uint8", name="image")
    return keras.Model(image, _teachers_class()(teachers, name="teachers")(image), name="teachers_mean")


def distillation_loss(part: DistillationPart, *, label_smoothing: float) -> Any:
    """Build the loss of a student; see `DistillationPart`.

    Returns:
        A function to losses `[B]`, of targets `[B, classes]` and the outputs `[B, 2 * classes]` of a model of
        `with_teachers`; or, with `views`, of targets and the teachers' predictions, `[B, 2 * classes]`, and the
        student's predictions `[B, classes]`.
    """
    keras = require_keras("distillation")
    ops = keras.ops
    temperature, weight = part.temperature, part.weight

    def softened(probabilities: Any) -> Any:
        # The logarithm of probabilities is as good as the logits: they differ by a constant in each row.
        return ops.log_softmax(ops.log(ops.maximum(probabilities, _LEAST)) / temperature)

    def loss(targets: Any, outputs: Any) -> Any:
        targets, student, teacher = _split_outputs(part, targets, outputs)
        hard = keras.losses.categorical_crossentropy(targets, student, label_smoothing=label_smoothing)
        ours, theirs = softened(student), softened(ops.stop_gradient(teacher))
        soft = ops.sum(ops.exp(theirs) * (theirs - ours), axis=-1)
        return (1.0 - weight) * hard + weight * temperature**2 * soft

    return loss


def _split_outputs(part: DistillationPart, targets: Any, outputs: Any) -> tuple[Any, Any, Any]:
    """The targets, the student's predictions and the teachers'."""
    ops = require_keras("distillation").ops
    if part.views:
        targets, teacher = ops.split(targets, 2, axis=-1)
        return targets, outputs, teacher
    student, teacher = ops.split(outputs, 2, axis=-1)
    return targets, student, teacher


def distillation_accuracy(part: DistillationPart) -> Any:
    """Build the metric beside `distillation_loss`: how often the student is right."""
    keras = require_keras("distillation")

    def accuracy(targets: Any, outputs: Any) -> Any:
        targets, student, _ = _split_outputs(part, targets, outputs)
        return keras.metrics.categorical_accuracy(targets, student)

    return keras.metrics.MeanMetricWrapper(accuracy, name="accuracy")
