"""Open the model to export: a run of `edgefm train`, its `.keras` file, or a third-party model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from edge_fm_export.class_labels import check_labels, labels_or_numbers
from edge_fm_export.compat.tensorflow_setup import require_tensorflow
from edge_fm_export.context import SourceModel
from edge_fm_export.task import task_of
from edge_fm_export.third_party_models.float32 import as_float32, rebuilt_note
from edge_fm_export.third_party_models.keras_file import load_keras_file, read_config, sha256_of
from edge_fm_export.third_party_models.safety import require_plain
from edge_fm_runtime.artifacts.metadata import Background, InputSpec, PhotoMode, PhotoSpec, Task
from edge_fm_runtime.artifacts.names import NAME_RULE, is_plain_name
from edge_fm_runtime.artifacts.sections import first_fault
from edge_fm_runtime.errors import ModelError
from edge_fm_runtime.parity.own_training import own_training
from edge_fm_runtime.system.json_text import parse_json

if TYPE_CHECKING:
    from edge_fm_export.third_party_models.pixel_scaling import Preprocessing

RUN_MODEL, RUN_METRICS = "model.keras", "metrics.json"
_TRAINING_KEYS = ("run", "model", "recipe_hash", "data", "epochs", "seed", "keras_backend")


def load_source(
    path: str | Path,
    *,
    labels: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
    trust: bool = False,
    photo: PhotoSpec | PhotoMode | None = None,
    input_size: tuple[int, int] | None = None,
) -> SourceModel:
    """Open a model and make it ready for export: pixels in, probabilities out.

    Args:
        path: a run folder, its `model.keras`, any `.keras`, `.h5` or SavedModel classifier.
        labels: one for each class; a run knows its own.
        preprocessing: what a third-party model needs done to pixels; models of `edgefm train` take none, as they carry
            their scaling.
        trust: run code that the file carries.
        photo: how a photo becomes the input; None for what a run knows. A mode alone leaves the background and the fill
            that a run was trained on as they are.
        input_size: height and width, for a third-party model that takes any.

    Raises:
        ModelError: there is no such model, it is no image classifier, its labels are missing or their number is
            wrong, or it carries code and `trust` is False.
        MissingDependencyError: Keras or TensorFlow is not installed.

    Example:
        >>> load_source("runs/latest").labels[9]  # doctest: +SKIP
        'Ankle boot'
    """
    path = Path(path)
    if not path.exists():
        what = "is a broken link" if path.is_symlink() else "does not exist"
        raise ModelError(
            f"{path} {what}; give a run folder (with {RUN_MODEL}) or a Keras model file.",
            hint="Train one: edgefm train   or give a file: edgefm export MODEL.keras",
        )
    if path.name == "saved_model.pb" and path.is_file():
        path = path.parent  # the model is its folder
    file = path / RUN_MODEL if (path / RUN_MODEL).is_file() else path
    metrics = file.parent / RUN_METRICS
    if file.is_file() and file.name == RUN_MODEL and metrics.is_file():
        return _load_run(file, metrics, labels=labels, preprocessing=preprocessing, photo=photo)
    from edge_fm_export.third_party_models.adapt import load_third_party_model
    from edge_fm_export.third_party_models.files import find_saved_model, load_model

    if path.is_dir() and find_saved_model(path) is None:
        raise ModelError(
            f"{path} is a folder without {RUN_MODEL} or saved_model.pb: neither a run nor a SavedModel.",
            hint="Give a finished run folder (edgefm train makes one), or the model's file.",
        )
    if file.suffix.lower() == ".keras":
        read_config(file)  # a file that is not a model is refused before TensorFlow is imported, which takes seconds
    require_tensorflow("opening a Keras model")
    model = load_model(file, trust=trust)
    if preprocessing is None and file.suffix.lower() == ".keras" and follows_contract(model):
        model, had = as_float32(model, file, trust=trust)
        notes = [] if had is None else [rebuilt_note(had)]
        if photo is None:
            notes.append(
                "Photos are fitted in whole, their proportions kept, as edgefm train does by default; --photo stretch "
                "is what keras.utils.image_dataset_from_directory does."
            )
        return make_source(
            model,
            name=file.stem,
            labels=labels_or_numbers(labels, int(model.outputs[0].shape[-1]), file),
            photo=_spec(photo, PhotoSpec()),
            sha256=sha256_of(file),
            where=file,
            notes=tuple(notes),
            named=labels is not None,
            task=task_of(model),
        )
    return load_third_party_model(
        file,
        model=model,
        labels=labels,
        preprocessing=preprocessing,
        trust=trust,
        photo=PhotoSpec(photo) if isinstance(photo, str) else photo,
        input_size=input_size,
    )


def follows_contract(model: Any) -> bool:
    """Whether a Keras model is ready as it is: one uint8 image `[N,H,W,C]` in, named `probabilities` out."""
    inputs, outputs = getattr(model, "inputs", None) or (), getattr(model, "outputs", None) or ()
    if len(inputs) != 1 or len(outputs) != 1:
        return False
    image, output = model.inputs[0], model.outputs[0]
    named = list(getattr(model, "output_names", [])) == ["probabilities"]
    sized = len(image.shape) == 4 and all(isinstance(side, int) for side in image.shape[1:])
    return named and sized and image.dtype == "uint8" and len(output.shape) == 2


def make_source(
    model: Any,
    *,
    name: str,
    labels: Sequence[str] | None,
    photo: PhotoSpec,
    sha256: str,
    where: Path,
    training: Mapping[str, Any] | None = None,
    notes: tuple[str, ...] = (),
    named: bool = True,
    task: Task | None = None,
) -> SourceModel:
    """Pack a model that follows our contract, with its labels checked.

    Raises:
        ModelError: the name is no plain name, or labels are missing, doubled, empty, or not as many as the classes.
    """
    if not is_plain_name(name):
        raise ModelError(
            f"The model in {where} is called {name!r}; its artifacts' folders are named after it, which takes "
            f"{NAME_RULE}.",
            hint="Rename the file, or the model in metrics.json.",
        )
    classes = int(model.outputs[0].shape[-1])
    checked = check_labels(labels, classes, where)
    height, width, channels = (int(side) for side in model.inputs[0].shape[1:])
    return SourceModel(
        name=name,
        model=model,
        input=InputSpec(height, width, channels),
        labels=checked,
        photo=photo,
        sha256=sha256,
        training=training,
        notes=notes,
        named=named,
        task=task,
    )


def source_name(path: Path) -> str:
    """What the model at `path` is called, and its artifacts after it, without loading it: a run by its model's name."""
    from edge_fm_export.third_party_models.files import name_of

    file = path / RUN_MODEL if (path / RUN_MODEL).is_file() else path
    metrics = file.parent / RUN_METRICS
    if file.is_file() and file.name == RUN_MODEL and metrics.is_file():
        return str(_read_metrics(metrics)["model"])
    return name_of(path) if path.exists() else path.stem


def _load_run(
    file: Path,
    metrics_file: Path,
    *,
    labels: Sequence[str] | None,
    preprocessing: Preprocessing | None,
    photo: PhotoSpec | PhotoMode | None,
) -> SourceModel:
    if preprocessing is not None:
        raise ModelError(
            f"{file.parent} is a run of edgefm train; its scaling is inside the model.",
            hint="Leave out --input-scale, --mean, --std and --preset.",
        )
    metrics = _read_metrics(metrics_file)
    require_plain(
        read_config(file),
        file,
        advice=f"No run of edgefm train has such layers. Move a model of your own away from {metrics_file.name}.",
    )
    model = load_keras_file(file)
    if not follows_contract(model):
        raise ModelError(
            f"{file} is not what edgefm train writes: it must take one uint8 image and return 'probabilities'.",
            hint=f"If it is a model of your own, move it out of the run folder: away from {metrics_file.name}.",
        )
    training = {key: metrics[key] for key in _TRAINING_KEYS if metrics.get(key) is not None}
    made = make_source(
        model,
        name=str(metrics["model"]),
        labels=metrics["labels"] if labels is None else labels,
        photo=_spec(photo, _photo(metrics, metrics_file)),
        sha256=sha256_of(file),
        where=file,
        training=training,
        task=_task(metrics, metrics_file, model),
    )
    return replace(made, trained=own_training(training, file.parent), scores=metrics.get("scores"))


def _task(metrics: Mapping[str, Any], file: Path, model: Any) -> Task | None:
    """The task that a run records, which its model must have."""
    task = task_of(model)
    if metrics.get("task") != task:
        raise ModelError(
            f"{file} says that the task is {metrics.get('task')!r}, but the model's is {task!r}.",
            hint="Train again: edgefm train",
        )
    return task


def _read_metrics(file: Path) -> dict[str, Any]:
    hint = (
        "Train again: edgefm train   or export the model alone with its labels: edgefm export MODEL.keras --labels FILE"
    )
    try:
        metrics = parse_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read as JSON: {error}.", hint=hint) from error
    if not isinstance(metrics, dict) or not isinstance(metrics.get("model"), str):
        raise ModelError(f"{file} does not name its model.", hint=hint)
    labels = metrics.get("labels")
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ModelError(f"{file} holds no list of labels.", hint=hint)
    scores = metrics.get("scores")
    fault = first_fault("training", {key: metrics[key] for key in _TRAINING_KEYS if key in metrics})
    if fault is None and scores is not None:
        fault = first_fault("scores", scores) if isinstance(scores, dict) else ("scores", "an object", scores)
    if fault is not None:
        key, supported, got = fault
        raise ModelError(f"{file}: {key.removeprefix('training.')} must be {supported}, got {got!r}.", hint=hint)
    return metrics


def _spec(given: PhotoSpec | PhotoMode | None, known: PhotoSpec) -> PhotoSpec:
    """What was given, the rest as it is known."""
    return replace(known, mode=given) if isinstance(given, str) else given or known


def _photo(metrics: Mapping[str, Any], file: Path) -> PhotoSpec:
    raw = metrics.get("photo")
    if raw is None:
        return PhotoSpec()
    fits = (
        isinstance(raw, dict)
        and raw.get("mode") in get_args(PhotoMode)
        and raw.get("background") in get_args(Background)
        and isinstance(raw.get("fill"), int)
        and 0 <= raw["fill"] <= 255
    )
    if not fits:
        raise ModelError(
            f"{file}: photo is {raw!r}; supported are mode ({', '.join(get_args(PhotoMode))}), background "
            f"({', '.join(get_args(Background))}) and fill (0..255).",
            hint="Train again: edgefm train",
        )
    return PhotoSpec(raw["mode"], raw["background"], raw["fill"])
