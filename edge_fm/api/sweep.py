"""`sweep`: every combination of a few values in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.api.messages import MessageFn, unheard
from edge_fm.api.places import DEFAULT_RECIPE, RUNS
from edge_fm_runtime.progress import ProgressFn, silent

if TYPE_CHECKING:
    from edge_fm.data import Dataset
    from edge_fm.training import Recipe
    from edge_fm.training.sweep import BeginFn, SweepRow


@dataclass(frozen=True, eq=False)
class SweepResult:
    """What a sweep found.

    Attributes:
        recipe: what the values were put into.
        rows: one for each combination, in the grid's order.
        out: folder of the runs.
    """

    recipe: Recipe
    rows: tuple[SweepRow, ...]
    out: Path

    @property
    def best(self) -> SweepRow | None:
        """The row with the highest validation accuracy; None where every run diverged."""
        from edge_fm.training.sweep import best_row

        return best_row(self.rows)

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm sweep --json` prints."""
        from edge_fm.training.sweep import sweep_json

        return sweep_json(self.recipe, self.rows)


def sweep(
    grid: Mapping[str, Sequence[Any]],
    recipe: str | Path = DEFAULT_RECIPE,
    *,
    data: str | None = None,
    epochs: int | None = None,
    test: bool = False,
    out: str | Path | None = None,
    progress: ProgressFn = silent,
    on_begin: BeginFn | None = None,
    note: MessageFn = unheard,
) -> SweepResult:
    """Train every combination of a grid's values once, and compare them by validation accuracy.

    Args:
        grid: key of the recipe -> its values, such as {"optimizer.name": ["sgd", "adam"]}.
        recipe: name or file.
        data: what to learn from; None for the recipe's.
        epochs: passes over the training images; None for the recipe's.
        test: also find each run's test accuracy, by which nothing is chosen.
        out: folder of the runs; None for runs/sweep-RECIPE.
        progress: called as work goes on.
        on_begin: called with each combination before it is trained or read.
        note: called with the choices that were made.

    Raises:
        EdgeFMError: the recipe, a combination or the data cannot be used.
    """
    from edge_fm.models.keras_import import require_keras_installed
    from edge_fm.training import load_recipe, with_overrides
    from edge_fm.training.recipe_data import load_recipe_data
    from edge_fm.training.sweep import sweep as run_sweep

    edited = with_overrides(load_recipe(recipe), data=data, epochs=epochs)
    folder = RUNS / f"sweep-{edited.name}" if out is None else Path(out)
    require_keras_installed("The sweep")

    def load(chosen: Recipe) -> Dataset:
        return load_recipe_data(chosen, progress=progress, on_try=note)

    rows = run_sweep(
        edited,
        {key: list(values) for key, values in grid.items()},
        load,
        folder,
        test=test,
        progress=progress,
        on_begin=on_begin,
    )
    return SweepResult(edited, tuple(rows), folder)
