"""Every combination of a few values, each trained once, in one table."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from edge_fm.models.run_files import HISTORY_FILE
from edge_fm.training.recipe import Recipe
from edge_fm.training.recipe.checks import require_one_class
from edge_fm.training.recipe.identity import recipe_hash
from edge_fm.training.recipe.keys import with_keys
from edge_fm.training.run import run_folder
from edge_fm.training.run.fit import EpochFn
from edge_fm.training.run.folder_lock import locked_folder
from edge_fm.training.run.selection import rank, selection_key
from edge_fm.training.search.trainings import OneProcess, PlannedRun, Trainings
from edge_fm_runtime.errors import DivergedError, RecipeError
from edge_fm_runtime.progress import ProgressFn, silent

if TYPE_CHECKING:
    from edge_fm.data import Dataset

Grid: TypeAlias = Mapping[str, Sequence[Any]]
"""Key path -> its values, such as `{"training.batch_size": [16, 32]}`."""
BeginFn: TypeAlias = Callable[[int, int, Mapping[str, Any]], None]
"""Called as `on_begin(number, of, values)` before each combination, from 1."""


@dataclass(frozen=True)
class SweepRow:
    """One combination.

    Attributes:
        values: key path -> value.
        val_accuracy: of the best epoch, a fraction; None where the training diverged.
        val_loss: of that epoch.
        test_accuracy: None unless it was asked for; no row may be selected by it.
        epochs, best_epoch, seconds, params, seed: of the run.
        recipe_hash: of its recipe.
        run: its folder.
        error: why there are no figures, or None.
        val_balanced_accuracy, val_macro_f1: of the best epoch, fractions; None where the training diverged.
    """

    values: Mapping[str, Any]
    val_accuracy: float | None
    val_loss: float | None
    test_accuracy: float | None
    epochs: int | None
    best_epoch: int | None
    seconds: float | None
    params: int | None
    seed: int
    recipe_hash: str
    run: str
    error: str | None = None
    val_balanced_accuracy: float | None = None
    val_macro_f1: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**self.__dict__, "values": dict(self.values)}


def combinations(recipe: Recipe, grid: Grid) -> list[tuple[dict[str, Any], Recipe]]:
    """Every combination and its recipe, the last key turning fastest; all are checked before the first one trains.

    Raises:
        RecipeError, ModelError: a combination that is not a recipe; names it.

    Example:
        >>> from edge_fm.training import Recipe
        >>> grid = {"optimizer.name": ["sgd", "adam"], "training.batch_size": [16, 32]}
        >>> [list(values.values()) for values, _ in combinations(Recipe(), grid)]
        [['sgd', 16], ['sgd', 32], ['adam', 16], ['adam', 32]]
    """
    if not grid:
        raise RecipeError("The grid is empty.", hint="--grid optimizer.name=sgd,adam --grid training.batch_size=16,32")
    rows = []
    for selected in itertools.product(*grid.values()):
        values = dict(zip(grid, selected, strict=True))
        try:
            rows.append((values, with_keys(recipe, values)))
        except RecipeError as error:
            named = ", ".join(f"{key}={value}" for key, value in values.items())
            raise RecipeError(f"{named}: {error.message}", hint=error.hint) from error
    return rows


def sweep(
    recipe: Recipe,
    grid: Grid,
    load: Callable[[Recipe], Dataset],
    out_dir: Path,
    *,
    test: bool = False,
    progress: ProgressFn = silent,
    on_begin: BeginFn | None = None,
    on_epoch: EpochFn | None = None,
    trainings: Trainings | None = None,
) -> list[SweepRow]:
    """Train every combination that has no finished run in `out_dir` yet; leaves sweep.csv and sweep.json there.

    Both files are whole after every run. A combination whose training diverges is a row with an error.

    Args:
        recipe: what the values are put into.
        grid: key path -> values.
        load: the dataset of a recipe; called again only where a combination changes [data] or [photo].
        out_dir: `<out_dir>/runs/<first 12 digits of the recipe's hash>` is a combination's run.
        test: also evaluate each on the test split. Select by validation all the same: the best of many test
            accuracies is too high.
        progress: as for `train`.
        on_epoch: likewise.
        on_begin: called with each combination before it is trained or read.
        trainings: what trains the runs; None for this process.

    Returns:
        A row for each combination, in the grid's order.

    Raises:
        EdgeFMError: as for `train`; before the first run where a combination is not a recipe.
        KeyboardInterrupt: passed on; the same call continues.
    """
    rows: list[SweepRow] = []
    planned = combinations(recipe, grid)
    for _, selected in planned:
        require_one_class("A sweep", multi_label=selected.data.multi_label)
    loaded: tuple[Any, Dataset] | None = None
    trainings = trainings or OneProcess()
    runs = [PlannedRun(one, out_dir / "runs" / recipe_hash(one)[:12], test) for _, one in planned]
    with locked_folder(out_dir):
        trainings.plan(runs)
        for number, (values, selected) in enumerate(planned, start=1):
            if on_begin:
                on_begin(number, len(planned), values)
            key = (selected.data, selected.photo)
            if loaded is None or loaded[0] != key:
                loaded = (key, load(selected))
            folder = runs[number - 1].folder
            try:
                metrics = trainings.train(runs[number - 1], loaded[1], progress=progress, on_epoch=on_epoch)
                rows.append(_row(values, selected, folder, metrics, test))
            except DivergedError as error:
                nothing = (None,) * 7
                rows.append(
                    SweepRow(values, *nothing, selected.seed, recipe_hash(selected), str(folder), error.message)
                )
            write_table(out_dir, recipe, rows)
    return rows


def best_row(recipe: Recipe, rows: Sequence[SweepRow]) -> SweepRow | None:
    """The row with the best validation figure of the recipe's `select_by`; None where every run diverged."""
    by = recipe.training.select_by
    usable = [row for row in rows if getattr(row, selection_key(by)) is not None]
    return max(usable, key=lambda row: rank(row.__dict__, by), default=None)


def write_table(out_dir: Path, recipe: Recipe, rows: Sequence[SweepRow]) -> None:
    """Write sweep.csv (a column for each key) and sweep.json."""
    text = io.StringIO()
    figures = [key for key in rows[0].__dict__ if key != "values"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*rows[0].values, *figures])
    for row in rows:
        writer.writerow([*row.values.values(), *("" if row.__dict__[f] is None else row.__dict__[f] for f in figures)])
    run_folder.write_text(out_dir / "sweep.csv", text.getvalue())
    run_folder.write_json(out_dir / "sweep.json", sweep_json(recipe, rows))


def sweep_json(recipe: Recipe, rows: Sequence[SweepRow]) -> dict[str, Any]:
    """What `edgefm sweep --json` prints."""
    best = best_row(recipe, rows)
    return {
        "recipe": recipe.name,
        "recipe_hash": recipe_hash(recipe),
        "chosen_by": selection_key(recipe.training.select_by),
        "best": None if best is None else best.to_json(),
        "rows": [row.to_json() for row in rows],
    }


def _row(values: Mapping[str, Any], recipe: Recipe, folder: Path, metrics: dict[str, Any], test: bool) -> SweepRow:
    return SweepRow(
        values=values,
        val_accuracy=metrics["val_accuracy"],
        val_loss=best_val_loss(folder, metrics["best_epoch"]),
        test_accuracy=metrics["test_accuracy"] if test else None,
        epochs=metrics["epochs"],
        best_epoch=metrics["best_epoch"],
        seconds=metrics["seconds"],
        params=metrics["params"],
        seed=recipe.seed,
        recipe_hash=metrics["recipe_hash"],
        run=str(folder),
        val_balanced_accuracy=metrics.get("val_balanced_accuracy"),
        val_macro_f1=metrics.get("val_macro_f1"),
    )


def best_val_loss(folder: Path, best_epoch: int) -> float:
    """Validation loss of a finished run's best epoch."""
    with (folder / HISTORY_FILE).open(newline="") as file:
        return next(float(row["val_loss"]) for row in csv.DictReader(file) if int(row["epoch"]) == best_epoch)
