"""`search`: the best values for a recipe, by validation accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.api.messages import MessageFn, unheard
from edge_fm.api.places import RUNS
from edge_fm_runtime.progress import ProgressFn, silent

if TYPE_CHECKING:
    from edge_fm.training.search import SearchResult, TrialFn


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
    recipe: str | Path,
    *,
    trials: int | None = None,
    timeout_s: float | None = None,
    storage: str | None = None,
    study: str | None = None,
    data: str | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    progress: ProgressFn = silent,
    on_trial: TrialFn | None = None,
    note: MessageFn = unheard,
) -> SearchReport:
    """Search the space in a recipe's [search] table with Optuna; write the best recipe.

    Args:
        recipe: name or file.
        trials: that the study shall have in all; None for the recipe's.
        timeout_s: begin no trial after so many seconds.
        storage: URL of a database that several processes share; None for study.db in `out`.
        study: name of the study in the storage; None for the recipe's.
        data: what to learn from; None for the recipe's.
        epochs: passes over the training images; None for the recipe's.
        seed: of everything random; None for the recipe's.
        out: folder of the trials; None for runs/search-RECIPE.
        progress: called as work goes on.
        on_trial: called with each trial before it trains: its number, how many in all, its values.
        note: called with the choices that were made.

    Raises:
        EdgeFMError: the recipe, its space, the data or the storage cannot be used.
    """
    from edge_fm.models.keras_import import require_keras_installed
    from edge_fm.training import with_overrides
    from edge_fm.training.recipe_data import load_recipe_data
    from edge_fm.training.search import load_search
    from edge_fm.training.search import search as run_search

    shipped, plan = load_search(recipe)
    edited = with_overrides(shipped, data=data, epochs=epochs, seed=seed)
    folder = RUNS / f"search-{edited.name}" if out is None else Path(out)
    require_keras_installed("The search")
    dataset = load_recipe_data(edited, progress=progress, on_try=note)
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
