"""`search`: the best values for a recipe, by validation accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.api.common.places import RUNS
from edge_fm.api.studies.place import trainings_at
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent

if TYPE_CHECKING:
    from edge_fm.training.search.search import SearchResult, TrialFn


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
    on: str | None = None,
    workers: int | None = None,
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
        on: "ray" to train several at once on this machine; "auto", "HOST:PORT" or "ray://HOST:PORT" to do so on a Ray
            cluster that shares the files of this machine. The results are those of one process. None for this process.
        workers: how many are trained at once on Ray; None for one for each CPU.
        progress: called as work goes on.
        on_trial: called with each trial before it trains: its number, how many in all, its values.
        note: called with the choices that were made.

    Raises:
        ClusterError: Ray cannot be started or reached, or does not see the files of this machine.
        EdgeFMError: the recipe, its space, the data or the storage cannot be used.
    """
    from edge_fm.api.common.photo_fit import edited_recipe, epochs_key, fitted, is_photo_recipe
    from edge_fm.api.common.usual_recipe import usual_recipe
    from edge_fm.models.keras_import import require_keras_installed
    from edge_fm.training.input_pipeline.recipe_data import load_recipe_data
    from edge_fm.training.recipe.file import load_search
    from edge_fm.training.recipe.overrides import check_given_once
    from edge_fm.training.search.search import search as run_search

    recipe = recipe or usual_recipe(None, data, size, note=note)
    shipped, plan = load_search(recipe)
    changes: dict[str, Any] = {
        "data": data,
        "size": size,
        "skip_unreadable": skip_unreadable,
        "group": group,
        "label_column": label_column,
        "epochs": epochs,
        "seed": seed,
    }
    check_given_once(changes, (dimension.path for dimension in plan.dimensions), f"the [search.space] of {recipe}:")
    edited = edited_recipe(recipe, shipped, **changes)
    folder = RUNS / f"search-{edited.name}" if out is None else Path(out)
    require_keras_installed("The search")
    dataset = load_recipe_data(edited, progress=progress, note=note)
    if is_photo_recipe(recipe):
        searched = {dimension.path for dimension in plan.dimensions}
        edited = fitted(edited, dataset, given=searched | epochs_key(epochs), note=note)
    with trainings_at(on, workers, note) as trainings:
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
            trainings=trainings,
        )
    return SearchReport(result, tuple(dimension.path for dimension in plan.dimensions), folder)
