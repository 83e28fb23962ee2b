"""The images that a temperature and a threshold for scores are fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, cast

import numpy as np
import numpy.typing as npt

from edge_fm.api.common.labelled import AS_TRAINED
from edge_fm.api.common.original import Sets, evaluation_data, validation_of_run
from edge_fm.api.common.places import run_of
from edge_fm.api.common.reading import Reading
from edge_fm_runtime.errors import DataError, ExportError
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent

if TYPE_CHECKING:
    from edge_fm_export.context import EvaluationSet, RejectionSets, SourceModel
    from edge_fm_export.scores.rejection import Goals

_HOW = "Name labelled images that the model has not learned from, in a folder for each class: --validation SOURCE"


class ScoreOptions(Protocol):
    """What an export does with scores: the part of `edge_fm.ExportOptions`."""

    @property
    def temperature(self) -> float | Literal["auto"] | None: ...
    @property
    def validation(self) -> str | None: ...
    @property
    def other_things(self) -> Sequence[str | Path]: ...
    @property
    def target_accuracy(self) -> float | None: ...
    @property
    def max_others(self) -> float | None: ...
    @property
    def data(self) -> str | None: ...
    @property
    def skip_unreadable(self) -> float | None: ...


def fit_scores(
    path: Path,
    options: ScoreOptions,
    sets: Sets,
    original: SourceModel,
    *,
    progress: ProgressFn = silent,
    note: MessageFn = ignore_message,
) -> tuple[SourceModel, RejectionSets | None]:
    """Put a temperature into the model where one is wanted, and select the images that thresholds are selected on.

    A run with a temperature of its own gets thresholds unasked, any other model only where an option asks for them.

    Raises:
        DataError: there are no images to fit on.
        ExportError: a number is out of range.
        ModelError: the model's logits cannot be divided.
    """
    from edge_fm_export.context import RejectionSets
    from edge_fm_export.gate.score_fitting import divided, fit_source_temperature
    from edge_fm_export.scores.rejection import Goals

    goals, number = _goals(options), _number(options.temperature)
    named = bool(options.validation or options.other_things) or goals != Goals()
    if options.temperature is None and not named and original.scores is None:
        return original, None
    reading = Reading.from_options(options).for_other(options.validation, options.data)
    try:
        validation, others = validation_images(
            options.validation, path, sets, original, reading=reading, progress=progress, note=note
        )
    except DataError as error:
        if named or options.temperature == "auto":
            raise
        note(f"Note: No threshold for --min-score auto is recorded. {error.message} {error.hint}")
        return (original if number is None else divided(original, number)), None
    if options.temperature is not None:
        original, found = fit_source_temperature(original, validation, temperature=number, progress=progress)
        note(f"Note: {found.sentence()}")
    if options.other_things:
        skip = reading.skip_unreadable
        others = other_things(options.other_things, original, skip_unreadable=skip, progress=progress, note=note)
    return original, RejectionSets(validation, others, goals)


def _goals(options: ScoreOptions) -> Goals:
    from edge_fm_export.scores.rejection import MAX_OTHERS, TARGET_ACCURACY, Goals

    given = {"target accuracy": options.target_accuracy, "share of other things": options.max_others}
    for what, share in given.items():
        if share is not None and not 0 <= share <= 1:
            raise ExportError(f"The {what} is {share!r}; supported: a share from 0 to 1.", hint="Such as 0.92.")
    return Goals(
        TARGET_ACCURACY if options.target_accuracy is None else options.target_accuracy,
        MAX_OTHERS if options.max_others is None else options.max_others,
    )


def _number(temperature: float | str | None) -> float | None:
    if temperature in (None, "auto"):
        return None
    if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0.01 <= temperature <= 100:
        raise ExportError(
            f"The temperature is {temperature!r}; supported: a number from 0.01 to 100, or 'auto'.",
            hint="1 leaves scores as they are; 2 makes them less sure.",
        )
    return float(temperature)


def validation_images(
    source: str | None,
    path: Path,
    sets: Sets,
    original: SourceModel,
    *,
    reading: Reading = AS_TRAINED,
    progress: ProgressFn = silent,
    note: MessageFn = ignore_message,
) -> tuple[EvaluationSet, Mapping[str, npt.NDArray[np.uint8]]]:
    """Labelled images that nothing was learned from and that the gate does not use, and other things of a run likewise.

    Args:
        source: as `--validation` takes it: its own validation split, or all its images; None for the validation split
            of the evaluation data, or of the run.
        path: of the model.
        sets: the evaluation set.
        original: the model.
        reading: how `source` is read.
        progress: called as images are read.
        note: called with what was left out.

    Raises:
        DataError: there are none, or they have no labels.
    """
    if source is None:
        own = validation_of_run(run_of(path) or path, original, sets, progress)
        if own is None and sets.validation is None:
            raise DataError("There are no validation images to fit scores on.", hint=_HOW)
        return own or (cast("EvaluationSet", sets.validation), {})
    named = evaluation_data(source, original, progress, reading=reading, note=note)
    found = named.validation or _joined(named)
    if found.labels is None:
        raise DataError(f"The images of {source} have no labels.", hint=_HOW)
    return _without_evaluated(found, sets, note), {}


def _joined(sets: Sets) -> EvaluationSet:
    """All images of a source that has no validation split."""
    from edge_fm_export.context import EvaluationSet
    from edge_fm_export.quantization.calibration import hash_images

    if sets.train is None or sets.train.labels is None or sets.test.labels is None or sets.dataset is None:
        return sets.test
    images = np.concatenate([sets.train.images, sets.test.images])
    labels = np.concatenate([sets.train.labels, sets.test.labels])
    return EvaluationSet(sets.dataset.name, images, labels, hash_images(images, labels))


def _without_evaluated(found: EvaluationSet, sets: Sets, note: MessageFn) -> EvaluationSet:
    """Those images that are not in the evaluation set, on which a threshold must prove itself."""
    from edge_fm_export.context import EvaluationSet
    from edge_fm_export.gate.fingerprints import fingerprints
    from edge_fm_export.quantization.calibration import hash_images

    assert found.labels is not None
    evaluated = set(fingerprints(sets.test.images))
    fresh = np.array([key not in evaluated for key in fingerprints(found.images)], dtype=np.bool_)
    if not fresh.any():
        raise DataError(
            f"All {len(fresh):,} images of {found.name} are in the evaluation set too, which must stay apart.",
            hint=_HOW,
        )
    if fresh.all():
        return found
    note(
        f"Note: {int((~fresh).sum()):,} of the {len(fresh):,} images of {found.name} are in the evaluation set too: "
        "scores are not fitted on them."
    )
    images, labels = found.images[fresh], found.labels[fresh]
    return EvaluationSet(found.name, images, labels, hash_images(images, labels))


def other_things(
    places: Sequence[str | Path],
    original: SourceModel,
    *,
    skip_unreadable: float | None = None,
    progress: ProgressFn = silent,
    note: MessageFn = ignore_message,
) -> Mapping[str, npt.NDArray[np.uint8]]:
    """Images of things that the model has no class for, by the name of their folder: uint8 `[M,H,W,C]`.

    Args:
        places: folders of images; of a folder of folders, those that are not called like a class of the model; or
            manifests, whose images are all taken, by their labels.
        original: the model.
        skip_unreadable: share of a folder's images that may be left out because they cannot be read.
        progress: called as images are read.
        note: called with what was passed over.

    Raises:
        DataError: a place is no folder, or holds nothing but the model's classes.
    """
    from edge_fm.data.unlabelled import load_images

    files = [Path(place) for place in places if Path(place).is_file()]
    folders = [
        folder
        for place in map(Path, places)
        if place not in files
        for folder in _folders_of_others(place, original.labels)
    ]
    names = [folder.name for folder in folders]
    skip = skip_unreadable or 0.0
    listed = [_listed(file, original, skip, progress, note) for file in files]
    return {name: images for found in listed for name, images in found.items()} | {
        (str(folder) if names.count(folder.name) > 1 else folder.name): load_images(
            folder,
            original.input.shape,
            original.photo,
            skip_unreadable=skip,
            progress=progress,
            note=note,
        )
        for folder in folders
    }


def _listed(
    file: Path, original: SourceModel, skip_unreadable: float, progress: ProgressFn, note: MessageFn
) -> dict[str, npt.NDArray[np.uint8]]:
    """The images of a manifest, by their labels."""
    from edge_fm.data import load_dataset
    from edge_fm.data.dataset import join

    found = load_dataset(
        str(file),
        shape=original.input.shape,
        photo=original.photo,
        skip_unreadable=skip_unreadable,
        group="none",
        progress=progress,
        note=note,
    )
    every = join(list(found.splits.values()))
    return {name: every.images[every.labels == number] for number, name in enumerate(found.label_names)}


def _folders_of_others(place: Path, labels: Sequence[str]) -> list[Path]:
    from edge_fm.data.label_names import find_label
    from edge_fm.data.unlabelled import is_flat_folder

    if is_flat_folder(place):
        return [place]
    if not place.is_dir():
        raise DataError(
            f"{place} is no folder or manifest; other things are taken from these.", hint="--other-things FOLDER"
        )
    folders = sorted(sub for sub in place.iterdir() if sub.is_dir() and not sub.name.startswith("."))
    others = [sub for sub in folders if find_label(sub.name, labels) is None]
    if not others:
        raise DataError(
            f"{place} holds no folder of other things: {', '.join(sub.name for sub in folders) or 'it is empty'}.",
            hint="Name a folder of images of what is no class of the model: --other-things FOLDER",
        )
    return others
