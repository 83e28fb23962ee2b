"""`search`, `sweep` and `crossval`: many runs of one recipe, compared by validation accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.api.common.places import RUNS
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent

if TYPE_CHECKING:
    from edge_fm.data import Dataset
    from edge_fm.training import Recipe
    from edge_fm.training.search.crossval import CrossValidation, FoldFn
    from edge_fm.training.search.search import SearchResult, TrialFn
    from edge_fm.training.search.sweep import BeginFn, SweepRow

FOLDS = 5


@dataclass(frozen=True, eq=False)
class SearchReport:
    """What a search found.

    Attributes:
        result: what the study holds: its trials, the best one and its recipe.
        dimensions: the keys of the recipe that were searched.
        out: folder of the trials.
    """

    result: SearchResult
    dimensions: tuple[str, ...]
    out: Path

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm search --json` prints."""
        return self.result.to_json()


def search(
    recipe: str | Path | None = None,
    *,
    trials: int | None = None,
    timeout_s: float | None = None,
    storage: str | None = None,
    study: str | None = None,
    data: str | None = None,
    size: tuple[int, int, int] | None = None,
    skip_unreadable: float | None = None,
    group: str | None = None,
    label_column: str | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    progress: ProgressFn = silent,
    on_trial: TrialFn | None = None,
    note: MessageFn = ignore_message,
) -> SearchReport:
    """Search the space in a recipe's [search] table with Optuna; write the best recipe.

    Args:
        recipe: name or file; None for the usual one, which is `photo` for colour photos.
        trials: that the study shall have in all; None for the recipe's.
        timeout_s: begin no trial after so many seconds.
        storage: URL of a database that several processes share; None for study.db in `out`.
        study: name of the study in the storage; None for the recipe's.
        data: what to learn from; None for the recipe's.
        size: height, width and channels that images are brought to; None for the recipe's.
        skip_unreadable: share of the images of a folder or a manifest that may be left out; None for the recipe's.
        group: what images come from, which splits keep together: a column of a manifest, `FILE:COLUMN` of a file in
            an image folder, or a pattern of the paths; None for what the recipe says.
        label_column: column of a manifest that holds the labels; None for what it says.
        epochs: passes over the training images; None for the recipe's.
        seed: of everything random; None for the recipe's.
        out: folder of the trials; None for runs/search-RECIPE.
        progress: called as work goes on.
        on_trial: called with each trial before it trains: its number, how many in all, its values.
        note: called with the choices that were made.

    Raises:
        EdgeFMError: the recipe, its space, the data or the storage cannot be used.
    """
    from edge_fm.api.common.photo_fit import edited_recipe, epochs_key, fitted, is_photo_recipe
    from edge_fm.api.common.usual_recipe import usual_recipe
    from edge_fm.models.keras_import import require_keras_installed
    from edge_fm.training.input_pipeline.recipe_data import load_recipe_data
    from edge_fm.training.recipe.file import load_search
    from edge_fm.training.search.search import search as run_search

    recipe = recipe or usual_recipe(None, data, size, note=note)
    shipped, plan = load_search(recipe)
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
    folder = RUNS / f"search-{edited.name}" if out is None else Path(out)
    require_keras_installed("The search")
    dataset = load_recipe_data(edited, progress=progress, note=note)
    if is_photo_recipe(recipe):
        searched = {dimension.path for dimension in plan.dimensions}
        edited = fitted(edited, dataset, given=searched | epochs_key(epochs), note=note)
    result = run_search(
        edited,
        plan,
        dataset,
        folder,
        trials=trials,
        timeout_s=timeout_s,
        storage=storage,
        study_name=study,
        progress=progress,
        on_trial=on_trial,
    )
    return SearchReport(result, tuple(dimension.path for dimension in plan.dimensions), folder)


@dataclass(frozen=True, eq=False)
class SweepResult:
    """What a sweep found.

    Attributes:
        recipe: what the values were put into.
        rows: one for each combination, in the grid's order.
        out: folder of the runs.
        test: whether the rows have test accuracies.
    """

    recipe: Recipe
    rows: tuple[SweepRow, ...]
    out: Path
    test: bool = False

    @property
    def best(self) -> SweepRow | None:
        """The row with the best validation figure of the recipe's `select_by`; None where every run diverged."""
        from edge_fm.training.search.sweep import best_row

        return best_row(self.recipe, self.rows)

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm sweep --json` prints."""
        from edge_fm.training.search.sweep import sweep_json

        return sweep_json(self.recipe, self.rows)


def sweep(
    grid: Mapping[str, Sequence[Any]],
    recipe: str | Path | None = None,
    *,
    data: str | None = None,
    size: tuple[int, int, int] | None = None,
    skip_unreadable: float | None = None,
    group: str | None = None,
    label_column: str | None = None,
    epochs: int | None = None,
    test: bool = False,
    out: str | Path | None = None,
    progress: ProgressFn = silent,
    on_begin: BeginFn | None = None,
    note: MessageFn = ignore_message,
) -> SweepResult:
    """Train every combination of a grid's values once, and compare them by validation accuracy.

    Args:
        grid: key of the recipe -> its values, such as {"optimizer.name": ["sgd", "adam"]}.
        recipe: name or file; None for the usual one, which is `photo` for colour photos.
        data: what to learn from; None for the recipe's.
        size: height, width and channels that images are brought to; None for the recipe's.
        skip_unreadable: share of the images of a folder or a manifest that may be left out; None for the recipe's.
        group: what images come from, which splits keep together: a column of a manifest, `FILE:COLUMN` of a file in
            an image folder, or a pattern of the paths; None for what the recipe says.
        label_column: column of a manifest that holds the labels; None for what it says.
        epochs: passes over the training images; None for the recipe's.
        test: also find each run's test accuracy, by which nothing is selected.
        out: folder of the runs; None for runs/sweep-RECIPE.
        progress: called as work goes on.
        on_begin: called with each combination before it is trained or read.
        note: called with the choices that were made.

    Raises:
        EdgeFMError: the recipe, a combination or the data cannot be used.
    """
    from edge_fm.api.common.photo_fit import edited_recipe, epochs_key, fitted, is_photo_recipe
    from edge_fm.api.common.usual_recipe import usual_recipe
    from edge_fm.models.keras_import import require_keras_installed
    from edge_fm.training import load_recipe
    from edge_fm.training.input_pipeline.recipe_data import load_recipe_data
    from edge_fm.training.search.sweep import sweep as run_sweep

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
    )
    folder = RUNS / f"sweep-{edited.name}" if out is None else Path(out)
    require_keras_installed("The sweep")

    def load(combination: Recipe) -> Dataset:
        return load_recipe_data(combination, progress=progress, note=note)

    if is_photo_recipe(recipe):
        edited = fitted(edited, load(edited), given={*grid, *epochs_key(epochs)}, note=note)
    rows = run_sweep(
        edited,
        {key: list(values) for key, values in grid.items()},
        load,
        folder,
        test=test,
        progress=progress,
        on_begin=on_begin,
    )
    return SweepResult(edited, tuple(rows), folder, test)


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
        progress: called as work goes on.
        on_fold: called with each fold's number and their count before it is trained or read.
        note: called with the choices that were made.

    Raises:
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
    return cross_validate(edited, dataset, folder, folds=folds, progress=progress, on_fold=on_fold)
