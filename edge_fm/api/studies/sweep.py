"""`sweep`: every combination of a few values, compared by validation accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.api.common.places import RUNS
from edge_fm.api.studies.place import trainings_at
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent

if TYPE_CHECKING:
    from edge_fm.data import Dataset
    from edge_fm.training import Recipe
    from edge_fm.training.search.sweep import BeginFn, SweepRow


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
    on: str | None = None,
    workers: int | None = None,
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
        on: "ray" to train several at once on this machine; "auto", "HOST:PORT" or "ray://HOST:PORT" to do so on a Ray
            cluster that shares the files of this machine. The results are those of one process. None for this process.
        workers: how many are trained at once on Ray; None for one for each CPU.
        progress: called as work goes on.
        on_begin: called with each combination before it is trained or read.
        note: called with the choices that were made.

    Raises:
        ClusterError: Ray cannot be started or reached, or does not see the files of this machine.
        EdgeFMError: the recipe, a combination or the data cannot be used.
    """
    from edge_fm.api.common.photo_fit import edited_recipe, epochs_key, fitted, is_photo_recipe
    from edge_fm.api.common.usual_recipe import usual_recipe
    from edge_fm.models.keras_import import require_keras_installed
    from edge_fm.training import load_recipe
    from edge_fm.training.input_pipeline.recipe_data import load_recipe_data
    from edge_fm.training.recipe.overrides import check_given_once
    from edge_fm.training.search.sweep import sweep as run_sweep

    changes: dict[str, Any] = {
        "data": data,
        "size": size,
        "skip_unreadable": skip_unreadable,
        "group": group,
        "label_column": label_column,
        "epochs": epochs,
    }
    check_given_once(changes, grid, "--grid")
    recipe = recipe or usual_recipe(None, data, size, note=note)
    shipped = load_recipe(recipe)
    edited = edited_recipe(recipe, shipped, **changes)
    folder = RUNS / f"sweep-{edited.name}" if out is None else Path(out)
    require_keras_installed("The sweep")

    def load(combination: Recipe) -> Dataset:
        return load_recipe_data(combination, progress=progress, note=note)

    if is_photo_recipe(recipe):
        edited = fitted(edited, load(edited), given={*grid, *epochs_key(epochs)}, note=note)
    with trainings_at(on, workers, note) as trainings:
        rows = run_sweep(
            edited,
            {key: list(values) for key, values in grid.items()},
            load,
            folder,
            test=test,
            progress=progress,
            on_begin=on_begin,
            trainings=trainings,
        )
    return SweepResult(edited, tuple(rows), folder, test)
