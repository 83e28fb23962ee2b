"""The images that `drift` compares photos with: held out from training, recorded in numbers at export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_fm.api.common.original import RANDOM_NOTE, Sets
from edge_fm.api.common.reading import Reading
from edge_fm.api.common.score_sets import validation_images
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.progress import MessageFn

if TYPE_CHECKING:
    from edge_fm.api.common.export_options import ExportOptions
    from edge_fm_export.context import EvaluationSet, SourceModel


def held_out_images(
    path: Path, options: ExportOptions, sets: Sets, original: SourceModel, *, note: MessageFn
) -> EvaluationSet | None:
    """Images that the model has not learned from: those of `options.validation`, the validation split, or the test set.

    Args:
        path: of the model.
        options: of its export.
        sets: its evaluation set.
        original: the model.
        note: called with why there are none.

    Returns:
        None where there are too few, or where none are wanted.
    """
    from edge_fm_export.gate.drift_reference import LEAST_IMAGES

    if not options.drift_reference or sets.note == RANDOM_NOTE:
        return None  # without real images the note on the evaluation set says what to do
    reading = Reading.from_options(options).for_other(options.validation, options.data)
    try:
        found, _ = validation_images(options.validation, path, sets, original, reading=reading)
    except DataError:
        found = sets.test
    if len(found.images) < LEAST_IMAGES <= len(sets.test.images):
        found = sets.test
    if len(found.images) < LEAST_IMAGES:
        note(
            f"Note: edgefm drift will have nothing to compare photos with: {found.name} has {len(found.images):,} "
            f"images, and at least {LEAST_IMAGES} are needed. Name more that the model has not learned from: "
            "--validation SOURCE"
        )
        return None
    return found
