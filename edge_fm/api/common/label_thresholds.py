"""The images that the thresholds of a multi-label model are fitted on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_fm.api.common.reading import Reading
from edge_fm.api.common.score_sets import validation_images
from edge_fm_runtime.errors import DataError, ExportError
from edge_fm_runtime.progress import MessageFn, ProgressFn

if TYPE_CHECKING:
    from edge_fm.api.common.export_options import ExportOptions
    from edge_fm.api.common.original import Sets
    from edge_fm_export.context import SourceModel


def require_single_options(options: ExportOptions, name: str) -> None:
    """Refuse options of an export that mean nothing for a multi-label model.

    Raises:
        ExportError: names the first of them.
    """
    given = {
        "--temperature": options.temperature is not None,
        "--other-things": bool(options.other_things),
        "--target-accuracy": options.target_accuracy is not None,
        "--max-others": options.max_others is not None,
        "--outputs": bool(options.outputs),
    }
    for option, there in given.items():
        if there:
            raise ExportError(
                f"{name} is multi-label; {option} is for one class of many.",
                hint=f"Leave {option} out. Each label has a threshold of its own, fitted on --validation SOURCE.",
            )


def fit_thresholds(
    path: Path,
    options: ExportOptions,
    sets: Sets,
    original: SourceModel,
    *,
    progress: ProgressFn,
    note: MessageFn,
) -> SourceModel:
    """Give each label of a multi-label model the threshold with the best F1 on validation images.

    A run has fitted them already; they are fitted again where --validation names images. Where there are no validation
    images each label applies from 0.5 on, and a note says so.

    Raises:
        DataError: --validation names images that cannot be used.
    """
    from edge_fm_export.gate.label_thresholds import with_fitted_thresholds

    if options.validation is None and (original.scores or {}).get("label_thresholds"):
        return original
    reading = Reading.from_options(options).for_other(options.validation, options.data)
    try:
        found, _ = validation_images(
            options.validation, path, sets, original, reading=reading, progress=progress, note=note
        )
    except DataError as error:
        if options.validation is not None:
            raise
        note(f"Note: Each label applies from a score of 0.5 on. {error.message} {error.hint}")
        return original
    return with_fitted_thresholds(original, found, progress=progress)
