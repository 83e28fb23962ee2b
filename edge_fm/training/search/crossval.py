"""Cross-validation: the accuracy of a recipe and its spread, without the test split."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from edge_fm.training.recipe import Recipe
from edge_fm.training.recipe.checks import require_one_class
from edge_fm.training.recipe.identity import recipe_hash
from edge_fm.training.run import run_folder
from edge_fm.training.run.fit import EpochFn
from edge_fm.training.run.folder_lock import locked_folder
from edge_fm.training.search.crossval_folds import assign_folds, fold_dataset
from edge_fm.training.search.trainings import OneProcess, PlannedRun, Trainings
from edge_fm_runtime.progress import ProgressFn, silent

if TYPE_CHECKING:
    from edge_fm.data import Dataset

FoldFn: TypeAlias = Callable[[int, int], None]
"""Called as `on_fold(number, of)` before each fold, from 1."""


@dataclass(frozen=True)
class FoldScore:
    """One fold.

    Attributes:
        fold: from 1.
        accuracy, loss, balanced_accuracy, macro_f1: on the images that the fold held out, with the weights of the best
            epoch; the latter two None for a run of an earlier version.
        val_accuracy: of the best epoch, on the validation images taken out of what the fold learned from.
        train_images, held_out: how many.
        best_epoch, seconds: of the run.
        run: its folder.
    """

    fold: int
    accuracy: float
    loss: float
    val_accuracy: float
    train_images: int
    held_out: int
    best_epoch: int
    seconds: float
    run: str
    balanced_accuracy: float | None = None
    macro_f1: float | None = None


@dataclass(frozen=True)
class CrossValidation:
    """All folds.

    Attributes:
        recipe: its name.
        recipe_hash: of what was run.
        data: name of the dataset.
        seed: of the recipe, and of the folds.
        scores: one for each fold.
    """

    recipe: str
    recipe_hash: str
    data: str
    seed: int
    scores: tuple[FoldScore, ...]

    @property
    def mean(self) -> float:
        """Mean accuracy of the folds, a fraction."""
        return statistics.fmean(score.accuracy for score in self.scores)

    @property
    def std(self) -> float:
        """Sample standard deviation of the folds' accuracies."""
        return statistics.stdev(score.accuracy for score in self.scores)

    def mean_of(self, name: str) -> float | None:
        """Mean of another figure of the folds, such as "macro_f1"; None where one has none."""
        figures = [getattr(score, name) for score in self.scores]
        return None if None in figures else statistics.fmean(figures)

    def to_json(self) -> dict[str, Any]:
        """What `edgefm crossval --json` prints."""
        return {
            "recipe": self.recipe,
            "recipe_hash": self.recipe_hash,
            "data": self.data,
            "seed": self.seed,
            "folds": len(self.scores),
            "mean_accuracy": self.mean,
            "std_accuracy": self.std,
            "sem_accuracy": self.std / math.sqrt(len(self.scores)),
            "mean_balanced_accuracy": self.mean_of("balanced_accuracy"),
            "mean_macro_f1": self.mean_of("macro_f1"),
            "mean_loss": statistics.fmean(score.loss for score in self.scores),
            "scores": [dict(score.__dict__) for score in self.scores],
        }


def _fold_progress(progress: ProgressFn) -> ProgressFn:
    """Progress in which a run's test split is called what it is, the fold held out."""
    return lambda stage, done, total: progress(
        "evaluating the fold held out" if stage == "testing" else stage, done, total
    )


def cross_validate(
    recipe: Recipe,
    dataset: Dataset,
    out_dir: Path,
    *,
    folds: int,
    progress: ProgressFn = silent,
    on_fold: FoldFn | None = None,
    on_epoch: EpochFn | None = None,
    trainings: Trainings | None = None,
) -> CrossValidation:
    """Train once for each fold on the other folds, and evaluate on the fold held out.

    The folds come out of the training split alone, each class in equal shares. Within what a fold learns from, the
    recipe's share of validation images selects the best epoch, so the images held out select nothing. The standard
    deviation is of accuracies whose training images overlap: it understates how much another draw of images would
    change (Bengio and Grandvalet 2004).

    Args:
        recipe: what to evaluate.
        dataset: its training split is divided; its test split is not used.
        out_dir: `<out_dir>/fold-1` and so on are the runs, each finished once; crossval.json is left beside them.
        folds: how many.
        progress: as for `train`.
        on_epoch: likewise.
        on_fold: called with each fold before it is trained or read.
        trainings: what trains the runs; None for this process.

    Raises:
        RecipeError: the recipe is multi-label.
        TrainingError: too few images for the folds, `out_dir` holds folds of another recipe or number, another process
            writes to it, or as `train`.
        KeyboardInterrupt: passed on; the same call continues.
    """
    require_one_class("Cross-validation", multi_label=recipe.data.multi_label)
    assigned = assign_folds(dataset.train, folds=folds, seed=recipe.seed)
    scores = []
    trainings = trainings or OneProcess()
    runs = [PlannedRun(recipe, out_dir / f"fold-{fold + 1}", True, (fold, folds)) for fold in range(folds)]
    with locked_folder(out_dir):
        trainings.plan(runs)
        for fold in range(folds):
            if on_fold:
                on_fold(fold + 1, folds)
            part = fold_dataset(dataset, assigned, fold)
            metrics = trainings.train(runs[fold], part, progress=_fold_progress(progress), on_epoch=on_epoch)
            scores.append(
                FoldScore(
                    fold=fold + 1,
                    accuracy=metrics["test_accuracy"],
                    loss=metrics["test_loss"],
                    val_accuracy=metrics["val_accuracy"],
                    train_images=len(part.train),
                    held_out=len(part.test),
                    best_epoch=metrics["best_epoch"],
                    seconds=metrics["seconds"],
                    run=str(runs[fold].folder),
                    balanced_accuracy=metrics.get("test_balanced_accuracy"),
                    macro_f1=metrics.get("test_macro_f1"),
                )
            )
    result = CrossValidation(recipe.name, recipe_hash(recipe), dataset.name, recipe.seed, tuple(scores))
    run_folder.write_json(out_dir / "crossval.json", result.to_json())
    return result
