"""Runs of a study on the workers of Ray: several at once, each the same as in one process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.models.run_files import MODEL_FILE
from edge_fm.scale.ray_session import DEATHS, ray_errors
from edge_fm.training.input_pipeline.recipe_data import load_recipe_data
from edge_fm.training.recipe import Recipe
from edge_fm.training.run.checkpoint import load_state
from edge_fm.training.run.fit import EpochFn
from edge_fm.training.run.train_once import train_once
from edge_fm.training.search.crossval_folds import assign_folds, fold_dataset
from edge_fm.training.search.trainings import PlannedRun, RowFn
from edge_fm_runtime.errors import ClusterError
from edge_fm_runtime.progress import ProgressFn, silent

if TYPE_CHECKING:
    from edge_fm.data import Dataset

_LOOK_S = 0.5


class RayTrainings:
    """Begins the runs that are certain on the workers of Ray, and hands each over when it is its turn.

    A study asks for its runs in the order of one process, and sees of each what it would see there: its epochs, one
    after the other, and its figures. So its results do not depend on how many are trained at once. A context manager,
    which stops what is still being trained.

    Args:
        ray: the module, connected.
        workers: how many are trained at once; None for one for each CPU.
    """

    ahead = True

    def __init__(self, ray: Any, workers: int | None) -> None:
        cpus = int(ray.cluster_resources().get("CPU", 1)) or 1
        share = max(1, cpus // workers) if workers else 1
        self._ray, self._begun = ray, dict[Path, Any]()
        self._remote = ray.remote(num_cpus=share, max_retries=DEATHS)(train_run)

    def __enter__(self) -> RayTrainings:
        return self

    def __exit__(self, *_: object) -> None:
        for running in self._begun.values():
            self._ray.cancel(running, force=True)

    def plan(self, runs: Sequence[PlannedRun]) -> None:
        """Begin runs, as many at once as there are workers; see `Trainings.plan`."""
        for run in runs:
            if run.folder not in self._begun and not (run.folder / MODEL_FILE).exists():
                self._begun[run.folder] = self._remote.remote(run, os.path.abspath(run.folder), os.getcwd())  # noqa: PTH100, PTH109

    def train(
        self,
        run: PlannedRun,
        dataset: Dataset,
        *,
        progress: ProgressFn = silent,
        on_epoch: EpochFn | None = None,
        on_earlier: RowFn | None = None,
    ) -> dict[str, Any]:
        """Wait for a run and read it; see `Trainings.train`. What was trained ahead of its turn counts as it ends."""
        self.plan([run])
        seen, of = 0, run.recipe.training.epochs

        def look() -> None:
            nonlocal seen
            state = load_state(run.folder)
            for row in state.history[seen:] if state else ():
                seen += 1
                if on_epoch is not None:
                    on_epoch(int(row["epoch"]), of, row)

        running = self._begun.get(run.folder)
        try:
            while running is not None and not self._ray.wait([running], timeout=_LOOK_S)[0]:
                look()
                progress("training", seen, max(of, seen))
            look()
        except BaseException:  # pruned or stopped
            if running is not None:
                self._ray.cancel(running, force=True)
            raise
        if running is not None:
            with ray_errors(self._ray):
                self._ray.get(running)
        if not (run.folder / MODEL_FILE).exists():
            raise ClusterError(
                f"A worker has trained the run, and {run.folder} is not here.",
                hint="Keep the output folder on a file system that all machines share.",
            )
        # The run is finished: this reads it, and holds its recipe and its data against those of this process.
        return train_once(run.recipe, dataset, run.folder, test=run.test, progress=progress)


def train_run(run: PlannedRun, folder: str, cwd: str) -> None:
    """Train a run; called in a worker.

    Args:
        run: which one.
        folder: of the run, absolute.
        cwd: where relative paths of the recipe begin.
    """
    try:
        os.chdir(cwd)
        Path(folder).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ClusterError(
            f"The machine {os.uname().nodename} does not have {error.filename}.",
            hint="Keep data and output folder on a file system that all machines share.",
        ) from error
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    dataset = _dataset(run.recipe)
    if run.fold is not None:
        fold, folds = run.fold
        dataset = fold_dataset(dataset, assign_folds(dataset.train, folds=folds, seed=run.recipe.seed), fold)
    train_once(run.recipe, dataset, Path(folder), test=run.test)


_loaded: list[tuple[Any, Any, Dataset]] = []


def _dataset(recipe: Recipe) -> Dataset:
    """The data of a recipe; a worker keeps what it has loaded last."""
    if not _loaded or _loaded[0][:2] != (recipe.data, recipe.photo):
        _loaded.clear()
        _loaded.append((recipe.data, recipe.photo, load_recipe_data(recipe)))
    return _loaded[0][2]
