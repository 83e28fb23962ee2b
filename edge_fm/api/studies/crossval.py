"""`crossval`: mean and spread of a recipe's accuracy over folds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_fm.api.common.places import RUNS
from edge_fm.api.studies.place import trainings_at
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent

if TYPE_CHECKING:
    from edge_fm.training.search.crossval import CrossValidation, FoldFn

FOLDS = 5


def crossval(
    recipe: str | Path | None = None,
    *,
    folds: int = FOLDS,
    data: str | None = None,
    size: tuple[int, int, int] | None = None,
    skip_unreadable: float | None = None,
    group: str | None = None,
    label_column: str | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    on: str | None = None,
    workers: int | None = None,
    progress: ProgressFn = silent,
    on_fold: FoldFn | None = None,
    note: MessageFn = ignore_message,
) -> CrossValidation:
    """Train a recipe once for each fold of the training images, and evaluate each run on the fold it never saw.

    Args:
        recipe: name or file; None for the usual one, which is `photo` for colour photos.
        folds: parts, each held out once.
        data: what to learn from; None for the recipe's.
        size: height, width and channels that images are brought to; None for the recipe's.
        skip_unreadable: share of the images of a folder or a manifest that may be left out; None for the recipe's.
        group: what images come from, which splits keep together: a column of a manifest, `FILE:COLUMN` of a file in
            an image folder, or a pattern of the paths; None for what the recipe says.
        label_column: column of a manifest that holds the labels; None for what it says.
        epochs: passes over the training images; None for the recipe's.
        seed: of everything random, the folds too; None for the recipe's.
        out: folder of the runs; None for runs/crossval-RECIPE.
        on: "ray" to train several at once on this machine; "auto", "HOST:PORT" or "ray://HOST:PORT" to do so on a Ray
            cluster that shares the files of this machine. The results are those of one process. None for this process.
        workers: how many are trained at once on Ray; None for one for each CPU.
        progress: called as work goes on.
        on_fold: called with each fold's number and their count before it is trained or read.
        note: called with the choices that were made.

    Raises:
        ClusterError: Ray cannot be started or reached, or does not see the files of this machine.
        EdgeFMError: the recipe or the data cannot be used, or a training diverges.
    """
    from edge_fm.api.common.photo_fit import edited_recipe, epochs_key, fitted, is_photo_recipe
    from edge_fm.api.common.usual_recipe import usual_recipe
    from edge_fm.models.keras_import import require_keras_installed
    from edge_fm.training import load_recipe
    from edge_fm.training.input_pipeline.enough_epochs import is_recipe_file, with_enough_epochs
    from edge_fm.training.input_pipeline.recipe_data import load_recipe_data
    from edge_fm.training.search.crossval import cross_validate

    recipe = recipe or usual_recipe(None, data, size, note=note)
    shipped = load_recipe(recipe)
    edited = edited_recipe(
        recipe,
        shipped,
        data=data,
        size=size,
        skip_unreadable=skip_unreadable,
        group=group,
        label_column=label_column,
        epochs=epochs,
        seed=seed,
    )
    folder = RUNS / f"crossval-{edited.name}" if out is None else Path(out)
    require_keras_installed("Cross-validation")
    dataset = load_recipe_data(edited, progress=progress, note=note)
    from_file = is_recipe_file(str(recipe))
    if is_photo_recipe(recipe):
        edited = fitted(edited, dataset, given=epochs_key(epochs), note=note, share=1 - 1 / folds)
    elif from_file or edited.data.source != shipped.data.source:
        edited, lines = with_enough_epochs(edited, dataset, given=from_file or epochs is not None)
        for line in lines:
            note(line)
    with trainings_at(on, workers, note) as trainings:
        return cross_validate(
            edited, dataset, folder, folds=folds, progress=progress, on_fold=on_fold, trainings=trainings
        )
