"""The original model and its evaluation set, for what compares or converts."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edge_fm.api.common.labelled import AS_TRAINED, labels_of, load_labelled, require_shape, require_unchanged
from edge_fm.api.common.places import EXPORTS, is_run
from edge_fm.api.common.reading import Reading
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent

if TYPE_CHECKING:
    from edge_fm.data import Dataset, Split
    from edge_fm_export.context import EvaluationSet, SourceModel
    from edge_fm_runtime.artifacts.metadata import Metadata

RANDOM_IMAGES = 64


@dataclass(frozen=True, eq=False)
class Sets:
    """The images of one export.

    Attributes:
        test: the evaluation set, labelled or not.
        train: the training split, to calibrate from; None where there is none.
        note: what a person should know about the choice, or None.
        labels: the dataset's names for the classes of a model whose classes have no names, or None.
        validation: the data's own validation split; None where it has none.
        dataset: what the sets were taken from; None for images without labels.
    """

    test: EvaluationSet
    train: EvaluationSet | None
    note: str | None = None
    labels: tuple[str, ...] | None = None
    validation: EvaluationSet | None = None
    dataset: Dataset | None = None


def load_original(path: Path, metadata: Metadata, *, trust: bool = False) -> SourceModel:
    """Open the Keras model that an artifact claims to come from, with the scaling and temperature it was exported with.

    Raises:
        ModelError: it cannot be read, or its labels do not fit.
    """
    from edge_fm_export.gate.score_fitting import divided
    from edge_fm_export.sources import load_source
    from edge_fm_export.third_party_models.pixel_scaling import Preprocessing

    original = load_source(
        path,
        labels=metadata.labels,
        photo=metadata.photo,
        preprocessing=Preprocessing.from_json((metadata.source or {}).get("preprocessing")),
        input_size=(metadata.input.height, metadata.input.width),
        trust=trust,
    )
    temperature = (metadata.source or {}).get("temperature")
    return original if temperature is None else divided(original, temperature)


def evaluation_data(
    source: str | None,
    original: SourceModel,
    progress: ProgressFn = silent,
    *,
    reading: Reading = AS_TRAINED,
    note: MessageFn = ignore_message,
) -> Sets:
    """Select the evaluation set for an export of `original`.

    Args:
        source: as `--data` takes it; None for the run's own dataset, or, for a third-party model, random pixels.
        original: the model.
        progress: called as images are read.
        reading: how the source is read.
        note: called with what is tried when a dataset must be fetched.

    Raises:
        DataError: the dataset does not fit the model, or is not the one that the run was trained on.
    """
    trained_on = (original.training or {}).get("data", {})
    name = source or trained_on.get("source")
    if name is None:
        return Sets(_random_set(original), None, RANDOM_NOTE)
    from edge_fm.data.label_sets import label_sets
    from edge_fm.data.unlabelled import is_flat_folder

    if is_flat_folder(name):
        unlabelled = unlabelled_set(name, original, progress, skip_unreadable=reading.skip_unreadable or 0.0, note=note)
        return Sets(unlabelled, None, UNLABELLED_NOTE)
    training, shape = original.training, original.input.shape
    dataset = load_labelled(
        name, shape, original.photo, training, reading, task=original.task, progress=progress, note=note
    )
    if source is None:
        require_unchanged(name, dataset, training)
    names = label_sets(dataset.label_names).names if dataset.multi_label else dataset.label_names
    if original.named or len(names) != len(original.labels):
        return sets_of(dataset, original.labels, shape)
    named = f"The classes got the names and the order of {dataset.name}: {', '.join(names)}. Name them: --labels FILE."
    return replace(sets_of(dataset, names, shape), note=named, labels=names)


def own_data(path: Path, training: Mapping[str, Any] | None) -> str | None:
    """The data that a model says it was trained on, where that may be opened without being named by the user.

    Args:
        path: the run, model file or artifact.
        training: the part of its metadata about its training.

    Returns:
        None where it names none.

    Raises:
        DataError: an artifact outside the run that it was exported from names a path, which could be any file.
    """
    from edge_fm.data import DATASETS

    data = (training or {}).get("data")
    source = data.get("source") if isinstance(data, dict) else None
    if not isinstance(source, str):
        return None
    if source in DATASETS or is_run(path) or is_run(path.parent):
        return source
    if path.parent.name == EXPORTS and is_run(path.parent.parent):
        from edge_fm.training.run.train_once import read_metrics

        # An artifact names the data without their place; its run knows it.
        return str(read_metrics(path.parent.parent)["data"].get("source", source))
    raise DataError(
        f"{path} says that it was trained on {source!r}. A path that an artifact names is opened only if you name it.",
        hint=f"If these are the images you mean: --data {shlex.quote(source)}"
        if os.path.exists(source)  # noqa: PTH110 - Path.exists raises for names that are too long
        else "Name images with labels, such as a folder with one subfolder for each label: --data FOLDER",
    )


RANDOM_NOTE = (
    f"No --data was given and the model does not name its own: evaluated by agreement on {RANDOM_IMAGES} "
    "random images. Give --data FOLDER with real images to prove accuracy."
)


UNLABELLED_NOTE = (
    "The images carry no labels: evaluated by agreement with the original, not by accuracy. "
    "Put them in a folder for each class to prove accuracy."
)


def unlabelled_set(
    folder: str,
    original: SourceModel,
    progress: ProgressFn,
    *,
    skip_unreadable: float = 0.0,
    note: MessageFn = ignore_message,
) -> EvaluationSet:
    """The images of a folder without subfolders, as images of the model's size without labels."""
    from edge_fm.data.unlabelled import load_images
    from edge_fm_export.context import EvaluationSet

    images = load_images(
        folder,
        original.input.shape,
        original.photo,
        skip_unreadable=skip_unreadable,
        progress=progress,
        note=note,
    )
    return EvaluationSet(folder, images, None, _sha256(images))


def sets_of(dataset: Dataset, labels: Sequence[str], shape: tuple[int, int, int]) -> Sets:
    """Make evaluation sets of a dataset's splits, with its labels brought into the model's order.

    Raises:
        DataError: the images have another shape, or the labels are not the model's.
    """
    require_shape(dataset.name, dataset.test, shape)
    own = dataset.validation
    return Sets(
        _set(dataset, "test", dataset.test, labels),
        _set(dataset, "train", dataset.train, labels),
        validation=None if own is None else _set(dataset, "validation", own, labels),
        dataset=dataset,
    )


def validation_of_run(
    run: Path, original: SourceModel, sets: Sets, progress: ProgressFn = silent
) -> tuple[EvaluationSet, Mapping[str, npt.NDArray[np.uint8]]] | None:
    """The images that selected the epoch of a run, where `sets` are of the data that it was trained on; else None.

    Returns:
        These images, and those of the recipe's other things that come from the same groups, and so were not learned
        from: uint8 `[M,H,W,C]` by their labels; none where there are no groups.
    """
    from edge_fm.models.run_files import RECIPE_FILE
    from edge_fm.training.input_pipeline.other_things import held_out_other_things
    from edge_fm.training.input_pipeline.recipe_data import training_and_validation
    from edge_fm.training.recipe.file import load_recipe

    file, dataset = run / RECIPE_FILE, sets.dataset
    trained_on = (original.training or {}).get("data", {}).get("hash")
    if dataset is None or dataset.content_hash != trained_on or not file.is_file():
        return None
    recipe = load_recipe(file)
    _, split = training_and_validation(recipe, dataset)
    others = held_out_other_things(recipe, split.groups, original.input.shape, progress=progress)
    return _set(dataset, "validation", split, original.labels), others


def _set(dataset: Dataset, split_name: str, split: Split, names: Sequence[str]) -> EvaluationSet:
    from edge_fm_export.context import EvaluationSet

    labels = labels_of(dataset, split, names)
    digest = _sha256(split.images, labels) if not split.files else _sha256(_fingerprints(split.images), labels)
    return EvaluationSet(f"{dataset.name} {split_name}", split.images, labels, digest)


def _fingerprints(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What stands for the pixels of files, in memory or not."""
    from edge_fm_export.gate.fingerprints import fingerprints

    return np.frombuffer(b"".join(fingerprints(images)), np.uint8)


def _random_set(original: SourceModel) -> EvaluationSet:
    from edge_fm_export.context import EvaluationSet

    images = np.random.default_rng(0).integers(0, 256, (RANDOM_IMAGES, *original.input.shape), dtype=np.uint8)
    return EvaluationSet(f"{RANDOM_IMAGES} random images", images, None, _sha256(images))


def _sha256(*arrays: np.ndarray[Any, Any]) -> str:
    import hashlib

    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
