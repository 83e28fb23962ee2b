"""`crossval`: mean and spread of a recipe's accuracy over folds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_fm.api.messages import MessageFn, unheard
from edge_fm.api.places import DEFAULT_RECIPE, RUNS
from edge_fm_runtime.progress import ProgressFn, silent

if TYPE_CHECKING:
    from edge_fm.training.crossval import CrossValidation, FoldFn

FOLDS = 5


def crossval(
    recipe: str | Path = DEFAULT_RECIPE,
    *,
    folds: int = FOLDS,
    data: str | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    progress: ProgressFn = silent,
    on_fold: FoldFn | None = None,
    note: MessageFn = unheard,
) -> CrossValidation:
    """Train a recipe once for each fold of the training images, and judge each run by the fold it never saw.

    Args:
        recipe: name or file.
        folds: parts, each held out once.
        data: what to learn from; None for the recipe's.
        epochs: passes over the training images; None for the recipe's.
        seed: of everything random, the folds too; None for the recipe's.
        out: folder of the runs; None for runs/crossval-RECIPE.
        progress: called as work goes on.
        on_fold: called with each fold's number and their count before it is trained or read.
        note: called with the choices that were made.

    Raises:
        EdgeFMError: the recipe or the data cannot be used, or a training diverges.
    """
    from edge_fm.models.keras_import import require_keras_installed
    from edge_fm.training import load_recipe, with_overrides
    from edge_fm.training.crossval import cross_validate
    from edge_fm.training.enough_steps import is_recipe_file, with_enough_epochs
    from edge_fm.training.recipe_data import load_recipe_data

    shipped = load_recipe(recipe)
    edited = with_overrides(shipped, data=data, epochs=epochs, seed=seed)
    folder = RUNS / f"crossval-{edited.name}" if out is None else Path(out)
    require_keras_installed("Cross-validation")
    dataset = load_recipe_data(edited, progress=progress, on_try=note)
    from_file = is_recipe_file(str(recipe))
    if from_file or edited.data.source != shipped.data.source:
        edited, lines = with_enough_epochs(edited, dataset, chosen=from_file or epochs is not None)
        for line in lines:
            note(line)
    return cross_validate(edited, dataset, folder, folds=folds, progress=progress, on_fold=on_fold)
