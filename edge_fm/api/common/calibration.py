"""Which images int8 and w8a16 are calibrated on, and which accuracy control uses: never one of the evaluation set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_fm.api.common.labelled import AS_TRAINED
from edge_fm.api.common.original import Sets, evaluation_data, unlabelled_set
from edge_fm.api.common.reading import Reading
from edge_fm_runtime.errors import DataError, EdgeFMError
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent

if TYPE_CHECKING:
    from edge_fm_export.context import EvaluationSet, SourceModel

VALIDATION_IMAGES = 2000


@dataclass(frozen=True, eq=False)
class Calibration:
    """The images for int8 and w8a16.

    Attributes:
        calibration: calibrate; None where there are none.
        validation: labelled, for accuracy control and for the estimated drop; None without labels or other images.
        notes: what a person should know about the choice, one sentence each.
        problem: why there is no calibration.
    """

    calibration: EvaluationSet | None = None
    validation: EvaluationSet | None = None
    notes: tuple[str, ...] = ()
    problem: EdgeFMError | None = None


def calibration_sets(
    source: str | None,
    sets: Sets,
    original: SourceModel,
    *,
    precisions: Sequence[str],
    samples: int | None,
    hold_out: bool,
    seed: int,
    reading: Reading = AS_TRAINED,
    progress: ProgressFn = silent,
    note: MessageFn = ignore_message,
) -> Calibration:
    """Select the images that int8 and w8a16 are calibrated on, and others, labelled, for accuracy control.

    Accuracy control uses the data's own validation split; without one, images are held out of those that calibrate.

    No image is in two sets, nor in the test set, pixel for pixel, whatever source or file it came from: images that are
    test images too are left out, and counted in a note.

    Args:
        source: as `--calibration` takes it; None for the training split of the evaluation data.
        sets: the evaluation set.
        original: the model.
        precisions: that are calibrated on them, for the notes.
        samples: how many images to calibrate on, or as many as there are; None for the usual number.
        hold_out: whether images are needed for accuracy control.
        seed: of the choice.
        reading: how `source` is read.
        progress: called as images are read.
        note: called with what was done to the source's own data.

    Raises:
        DataError: every image is a test image, or the images do not fit the model.
    """
    from edge_fm.data.streaming.images import select
    from edge_fm.data.unlabelled import is_flat_folder
    from edge_fm_export.gate.fingerprints import fingerprints
    from edge_fm_export.quantization.calibration import DEFAULT_SAMPLES, calibration_set

    train = sets.train
    if source is not None:
        if is_flat_folder(source):
            train = unlabelled_set(
                source, original, progress, skip_unreadable=reading.skip_unreadable or 0.0, note=note
            )
        else:
            named = evaluation_data(source, original, progress, reading=reading, note=note)
            train = named.train
    if train is None:
        return Calibration()
    wanted, total = samples or DEFAULT_SAMPLES, len(train.images)
    evaluated = set(fingerprints(sets.test.images))
    order = np.random.default_rng(seed).permutation(total)
    held = order[: min(VALIDATION_IMAGES, total // 3)]
    # With enough images the same ones calibrate with and without accuracy control.
    if total - len(held) < wanted and not (hold_out and sets.validation is None):
        held = order[:0]
    rest = np.sort(order[len(held) :])
    validation = None
    if hold_out and sets.validation is not None:
        validation = _validation_set(sets.validation, np.arange(len(sets.validation.images)), evaluated)
    elif hold_out and train.labels is not None:
        validation = _validation_set(replace(train, name=f"{train.name}, held out"), np.sort(held), evaluated)
    held_out = set() if validation is None else set(fingerprints(validation.images))

    def draw(among: npt.NDArray[np.intp]) -> EvaluationSet:
        labels = None if train.labels is None else train.labels[among]
        count = min(wanted, len(among))
        return calibration_set(select(train.images, among), labels, samples=count, seed=seed, name=train.name)

    calibrated = f"{' and '.join(precisions)} {'is' if len(precisions) == 1 else 'are'}"
    notes: list[str] = []
    drawn = draw(rest)
    if not (evaluated | held_out).isdisjoint(fingerprints(drawn.images)):
        among = _without(train.images, rest, evaluated)
        if len(among) < len(rest):
            notes.append(
                f"{len(rest) - len(among):,} of the {len(rest):,} images of {train.name} are test images too: "
                f"{calibrated} not calibrated on them."
            )
        among = _without(train.images, among, held_out)
        if not len(among):
            also = " or used by accuracy control" if held_out else ""
            raise DataError(
                f"All {len(rest):,} images to calibrate on ({train.name}) are test images too{also}: the gate would "
                f"check {' and '.join(precisions)} on images that tuned the model.",
                hint="Calibrate on other images (--calibration SOURCE), or evaluate on others (--data SOURCE).",
            )
        drawn = draw(among)
    if validation is None:
        validation = _held_out(sets.validation, train, order, evaluated | set(fingerprints(drawn.images)))
    if len(drawn.images) < wanted:
        requested = "" if samples is None else f"; {samples:,} were requested"
        notes.append(
            f"{calibrated} calibrated on {len(drawn.images):,} images, all that there are in {train.name}{requested}."
        )
    return Calibration(drawn, validation, tuple(notes))


def _held_out(
    validation: EvaluationSet | None, train: EvaluationSet, order: npt.NDArray[np.intp], used: set[bytes]
) -> EvaluationSet | None:
    """Images on which the drop of int8 is estimated: those of the validation split, else what calibration left over."""
    if validation is not None and validation.labels is not None:
        return _validation_set(validation, np.arange(len(validation.images))[:VALIDATION_IMAGES], used)
    if train.labels is None:
        return None
    return _validation_set(replace(train, name=f"{train.name}, held out"), np.sort(order[:VALIDATION_IMAGES]), used)


def _validation_set(
    images: EvaluationSet, positions: npt.NDArray[np.intp], evaluated: set[bytes]
) -> EvaluationSet | None:
    """Those of the images at `positions` that are not in the evaluation set; None where there are none."""
    from edge_fm_export.context import EvaluationSet
    from edge_fm_export.quantization.calibration import hash_images

    selected = _without(images.images, positions, evaluated)
    if not len(selected):
        return None
    labels = None if images.labels is None else images.labels[selected]
    pixels = images.images[selected]
    return EvaluationSet(images.name, pixels, labels, hash_images(pixels, labels))


def _without(images: npt.NDArray[np.uint8], positions: npt.NDArray[np.intp], known: set[bytes]) -> npt.NDArray[np.intp]:
    """Those of `positions` whose images are not `known`, in their order."""
    from edge_fm.data.streaming.images import select
    from edge_fm_export.gate.fingerprints import fingerprints

    fresh = np.array([key not in known for key in fingerprints(select(images, positions))], dtype=np.bool_)
    return positions[fresh]
