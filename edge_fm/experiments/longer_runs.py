"""A run of more epochs that goes on where a finished run of fewer ended, instead of repeating its epochs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_fm.experiments.structure import structure_hash
from edge_fm.models import build_model
from edge_fm.models.keras_import import require_keras
from edge_fm.models.run_files import HISTORY_FILE, MODEL_FILE, RECIPE_FILE
from edge_fm.training import Recipe, recipe_hash
from edge_fm.training.distillation.distillation import with_teacher_hashes
from edge_fm.training.recipe.file import recipe_toml
from edge_fm.training.recipe.paths import with_absolute_paths
from edge_fm.training.run import run_folder
from edge_fm.training.run.checkpoint import RunState, load_state, save_state
from edge_fm.training.run.folder_lock import locked_folder
from edge_fm.training.run.results import is_over, library_versions
from edge_fm.training.run.train_once import read_metrics

if TYPE_CHECKING:
    from edge_fm.data import Dataset

_UNTIL_THE_END = ("one-cycle", "cosine")
"""Schedules whose every step depends on how many epochs there are."""


def run_folder_of(recipe: Recipe, folder: Path) -> Path:
    """Where a recipe's run lies in the folder of all runs."""
    return folder / recipe_hash(recipe)[:12]


def start_from_shorter(recipe: Recipe, folder: Path, dataset: Dataset) -> Path | None:
    """Start a run from the longest finished run in `folder` that differs in having fewer epochs alone.

    Each epoch depends on those before it, so the run ends with the same weights as one from the first epoch. Nothing is
    done where the run was already started, and where an epoch depends on how many there will be.

    Args:
        recipe: of the run.
        folder: of all runs.
        dataset: of the run.

    Returns:
        The folder of the shorter run, or None.
    """
    run = run_folder_of(recipe, folder)
    if (run / RECIPE_FILE).exists() or not _epochs_are_independent(recipe):
        return None
    for epochs in range(recipe.training.epochs - 1, 0, -1):
        fewer = replace(recipe, training=replace(recipe.training, epochs=epochs))
        shorter = run_folder_of(fewer, folder)
        state = _last_state(shorter, fewer, dataset) if (shorter / MODEL_FILE).is_file() else None
        if state is not None and not is_over(recipe, state):  # else its patience was at its end
            as_stored = _as_stored(recipe)
            with locked_folder(run):
                run_folder.write_text(run / RECIPE_FILE, recipe_toml(as_stored))
                run_folder.write_history(run / HISTORY_FILE, state.history)
                save_state(run, replace(state, recipe_hash=recipe_hash(as_stored)))
            return shorter
    return None


def _epochs_are_independent(recipe: Recipe) -> bool:
    """Whether an epoch is the same however many follow it."""
    schedule = recipe.schedule
    return schedule.name not in _UNTIL_THE_END and not schedule.warmup and not recipe.augmentation.clean_epochs


def _last_state(run: Path, recipe: Recipe, dataset: Dataset) -> RunState | None:
    """How a finished run ended; None where another recipe, network, data or version of a library trained it."""
    keras = require_keras("training")
    backend = keras.backend.backend()
    metrics = read_metrics(run)
    same = (
        metrics["recipe_hash"] == recipe_hash(_as_stored(recipe))
        and metrics["data"]["hash"] == dataset.content_hash
        and metrics["keras_backend"] == backend
        and metrics["versions"] == library_versions(backend)
    )
    if not same:
        return None
    classes, shape = len(dataset.label_names), dataset.train.images.shape[1:]
    now = build_model(recipe.model.name, input_shape=shape, classes=classes, **recipe.model.options)
    then = keras.models.load_model(run / MODEL_FILE, compile=False)
    return load_state(run) if structure_hash(then) == structure_hash(now) else None


def _as_stored(recipe: Recipe) -> Recipe:
    """As a run stores it."""
    return with_teacher_hashes(with_absolute_paths(recipe))
