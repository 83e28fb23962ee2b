"""Where the runs of a study are trained: one after the other in this process, or elsewhere at the same time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from edge_fm.training.recipe import Recipe
from edge_fm.training.run.checkpoint import load_state
from edge_fm.training.run.fit import EpochFn
from edge_fm.training.run.train_once import train_once
from edge_fm_runtime.progress import ProgressFn, silent

if TYPE_CHECKING:
    from edge_fm.data import Dataset

RowFn: TypeAlias = Callable[[Mapping[str, float]], None]
"""Called with the figures of an epoch."""


@dataclass(frozen=True)
class PlannedRun:
    """A run that a study will need, whatever becomes of the others.

    Attributes:
        recipe: everything that decides it.
        folder: of this run and no other.
        test: whether the test split is evaluated.
        fold: number of the fold that is held out, from 0, and how many there are; None for the recipe's own data.
    """

    recipe: Recipe
    folder: Path
    test: bool
    fold: tuple[int, int] | None = None


class Trainings(Protocol):
    """Trains the runs of a study. A run is the same wherever it is trained, so that a study is, too."""

    ahead: bool
    """Whether `plan` is of use."""

    def plan(self, runs: Sequence[PlannedRun]) -> None:
        """Say which runs will be needed; they may be begun. A run that was planned before is not planned again."""

    def train(
        self,
        run: PlannedRun,
        dataset: Dataset,
        *,
        progress: ProgressFn = silent,
        on_epoch: EpochFn | None = None,
        on_earlier: RowFn | None = None,
    ) -> dict[str, Any]:
        """Train a run, resume it or read it; see `train_once`.

        Args:
            run: which one.
            dataset: what it learns from.
            progress: called as work goes on; what it raises stops the training.
            on_epoch: called with each epoch as it ends; likewise.
            on_earlier: called with each epoch that was trained before; likewise.
        """


class OneProcess:
    """Trains in this process, one run after the other."""

    ahead = False

    def plan(self, runs: Sequence[PlannedRun]) -> None:
        """Begin nothing: each run is trained when it is its turn."""

    def train(
        self,
        run: PlannedRun,
        dataset: Dataset,
        *,
        progress: ProgressFn = silent,
        on_epoch: EpochFn | None = None,
        on_earlier: RowFn | None = None,
    ) -> dict[str, Any]:
        """See `Trainings.train`."""
        if on_earlier is not None:
            before = load_state(run.folder)
            for row in before.history if before else ():
                on_earlier(row)
        return train_once(run.recipe, dataset, run.folder, test=run.test, progress=progress, on_epoch=on_epoch)
