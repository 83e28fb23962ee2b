"""Which images int8 is calibrated on, and which steer accuracy control: never one that judges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_fm.cli.inputs import Sets, evaluation_data, unlabelled_set
from edge_fm_runtime.errors import DataError, EdgeFMError
from edge_fm_runtime.progress import ProgressFn, silent

if TYPE_CHECKING:
    from edge_fm_export.context import EvaluationSet, SourceModel

VALIDATION_IMAGES = 2000


@dataclass(frozen=True, eq=False)
class Calibration:
    """The images for int8.

    Attributes:
        calibration: calibrate; None where there are none.
        validation: labelled, steer accuracy control; None where it is not asked for, or nobody labelled them.
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
    samples: int | None,
    hold_out: bool,
    seed: int,
    skip_unreadable: float | None = None,
    progress: ProgressFn = silent,
    on_note: Callable[[str], None] | None = None,
) -> Calibration:
    """Choose the images that int8 is calibrated on, and others, labelled, for accuracy control.

    No image is in two sets, nor in the test set, pixel for pixel, whatever source or file it came from: images that are
    test images too are left out, and counted in a note.

    Args:
        source: as `--calibration` takes it; None for the training split of the data that judges.
        sets: the images that judge.
        original: the model.
        samples: how many images to calibrate on, or as many as there are; None for the usual number.
        hold_out: whether images are needed for accuracy control.
        seed: of the choice.
        skip_unreadable: see `evaluation_data`.
        progress: called as images are read.
        on_note: told what was done to the source's own data.

    Raises:
        DataError: every image is a test image, or the images do not fit the model.
    """
    from edge_fm.data.unlabelled import is_flat_folder
    from edge_fm_export.context import EvaluationSet
    from edge_fm_export.fingerprints import fingerprints
    from edge_fm_export.quantization.calibration import DEFAULT_SAMPLES, calibration_set, hash_images

    train = sets.train
    if source is not None:
        if is_flat_folder(source):
            train = unlabelled_set(source, original, progress, skip_unreadable=skip_unreadable or 0.0, on_note=on_note)
        else:
            judged = evaluation_data(source, original, progress, skip_unreadable=skip_unreadable, on_try=on_note)
            train = judged.train
    if train is None:
        return Calibration()
    wanted, total = samples or DEFAULT_SAMPLES, len(train.images)
    order = np.random.default_rng(seed).permutation(total)
    held = order[: min(VALIDATION_IMAGES, total // 3)]
    # With enough images the same ones calibrate with and without accuracy control.
    if not hold_out and total - len(held) < wanted:
        held = order[:0]
    rest = np.sort(order[len(held) :])
    judging = set(fingerprints(sets.test.images))
    held = np.sort(_apart(train.images, held, judging)) if hold_out and train.labels is not None else held[:0]
    steering = set(fingerprints(train.images[held]))

    def draw(among: npt.NDArray[np.intp]) -> EvaluationSet:
        labels = None if train.labels is None else train.labels[among]
        count = min(wanted, len(among))
        return calibration_set(train.images[among], labels, samples=count, seed=seed, name=train.name)

    notes: list[str] = []
    drawn = draw(rest)
    if not (judging | steering).isdisjoint(fingerprints(drawn.images)):
        apart = _apart(train.images, rest, judging | steering)
        if not len(apart):
            raise DataError(
                f"All {len(rest):,} images to calibrate on ({train.name}) are test images too: the gate would judge "
                "int8 by what it was tuned on.",
                hint="Calibrate on other images (--calibration SOURCE), or judge by others (--data SOURCE).",
            )
        copies = len(rest) - len(_apart(train.images, rest, judging))
        if copies:
            notes.append(
                f"{copies:,} of the {len(rest):,} images of {train.name} are test images too: int8 is not calibrated "
                "on them."
            )
        drawn = draw(apart)
    if len(drawn.images) < wanted:
        asked = "" if samples is None else f"; {samples:,} were asked for"
        notes.append(f"int8 is calibrated on {len(drawn.images):,} images, all that there are in {train.name}{asked}.")
    if not len(held) or train.labels is None:
        return Calibration(drawn, notes=tuple(notes))
    kept, truth = train.images[held], train.labels[held]
    return Calibration(
        drawn, EvaluationSet(f"{train.name}, held out", kept, truth, hash_images(kept, truth)), tuple(notes)
    )


def _apart(images: npt.NDArray[np.uint8], positions: npt.NDArray[np.intp], known: set[bytes]) -> npt.NDArray[np.intp]:
    """Those of `positions` whose images are not `known`, in their order."""
    from edge_fm_export.fingerprints import fingerprints

    fresh = np.array([key not in known for key in fingerprints(images[positions])], dtype=np.bool_)
    return positions[fresh]
