"""The end of a run: its metrics, its model, and the predictions on the test split."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_fm.models.run_files import METRICS_FILE, MODEL_FILE
from edge_fm.training.input_pipeline.leakage import Leak, leak_rows
from edge_fm.training.optimization.schedules import stops_early
from edge_fm.training.recipe import Recipe
from edge_fm.training.recipe.data import READING
from edge_fm.training.run import run_folder
from edge_fm.training.run.checkpoint import RunState
from edge_fm.training.run.final_figures import evaluate_run
from edge_fm.training.run.learner import Learner
from edge_fm.training.run.selection import selection_key
from edge_fm_runtime.artifacts.metadata import MULTI_LABEL
from edge_fm_runtime.progress import MessageFn, ProgressFn
from edge_fm_runtime.system.atomic_write import replacing
from edge_fm_runtime.system.package_versions import package_version

if TYPE_CHECKING:
    from edge_fm.data import Dataset, Split


@dataclass(frozen=True, eq=False)
class RunResult:
    """A finished run.

    Attributes:
        run_dir: the run's folder.
        recipe: as it was run, overrides included.
        metrics: what metrics.json holds.
        history: one row for each epoch: epoch, loss, accuracy (both while learning, on augmented images), val_loss,
            val_accuracy, learning_rate, seconds.
        test_probabilities: float32 `[N,classes]`, in the order of the test split; no rows where it was left alone.
    """

    run_dir: Path
    recipe: Recipe
    metrics: dict[str, Any]
    history: tuple[dict[str, float], ...]
    test_probabilities: NDArray[np.float32]

    @property
    def model_path(self) -> Path:
        """The trained model."""
        return self.run_dir / MODEL_FILE

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm train --json` prints."""
        return self.metrics


def is_over(recipe: Recipe, state: RunState) -> bool:
    """Whether the last epoch is done, or patience is at its end."""
    losses = [row["val_loss"] for row in state.history]
    return state.epoch >= recipe.training.epochs or stops_early(recipe.training.patience, losses)


def finalize_run(
    learner: Learner,
    state: RunState,
    train_split: Split,
    validation_split: Split,
    dataset: Dataset,
    out_dir: Path,
    progress: ProgressFn,
    started: float,
    *,
    leaks: Sequence[Leak],
    test: bool,
    note: MessageFn,
) -> RunResult:
    """Evaluate the selected weights, fit their temperature, and write metrics and model into the run's folder.

    `note` is called with the temperature, and with what would have helped.
    """
    recipe, model = learner.recipe, learner.evaluated
    learner.select(state.best)
    stage = "testing" if test else "evaluating"
    progress(stage, 0, None)
    found = evaluate_run(learner, train_split, validation_split, dataset, test=test, note=note)
    best = state.history[state.best_epoch - 1]
    for line in found.advice:
        note(line)
    metrics = {
        "run": out_dir.name,
        "model": recipe.model.name,
        "params": model.count_params(),
        "epochs": state.epoch,
        "stopped_early": state.epoch < recipe.training.epochs,
        "seconds": round(time.monotonic() - started, 1),
        **{key: value for key, value in found.learned.items() if key != "train_loss"},
        **{key: best.get(key) for key in (*(k for k in found.validation if k != "val_loss"), "val_loss")},
        **found.tested,
        "selected_by": selection_key(recipe.training.select_by),
        "validation_leaks": leak_rows((leak.path, leak.images, leak.group_images) for leak in leaks),
        "test_leaks": leak_rows((leak.path, leak.test_images, leak.group_test_images) for leak in leaks),
        "advice": list(found.advice),
        "label_suspects": [{"split": "validation", **one.to_json()} for one in found.suspects],
        "best_epoch": state.best_epoch,
        "seed": recipe.seed,
        "labels": list(learner.labels),
        **({"task": MULTI_LABEL} if learner.multi_label else {}),
        "input_shape": list(learner.input_shape),
        "data": {
            "name": dataset.name,
            "source": dataset.source,
            "hash": dataset.content_hash,
            "preparation": recipe.data.preparation.to_json(),
            **{key: value for key in READING if (value := getattr(recipe.data, key))},
            "notes": dict(dataset.notes),
        },
        "recipe_hash": state.recipe_hash,
        "scores": found.scores,
        "teachers": [
            {"path": path, "sha256": digest}
            for path, digest in zip(recipe.distillation.teacher, recipe.distillation.sha256, strict=True)
        ],
        "photo": {
            "mode": recipe.photo.mode,
            "background": recipe.photo.background,
            "fill": recipe.photo.fill,
        },
        "keras_backend": state.backend,
        "versions": library_versions(state.backend),
    }
    run_folder.write_json(out_dir / METRICS_FILE, metrics)
    _save_model(learner, out_dir / MODEL_FILE)
    progress(stage, 1, 1)
    return RunResult(out_dir, recipe, metrics, state.history, found.test_probabilities)


def _save_model(learner: Learner, path: Path) -> None:
    # A model that was never compiled: its file names no optimizer or loss of ours, so any Keras reads it.
    model = learner.fresh_model()
    model.set_weights(learner.evaluated.get_weights())
    with replacing(path, beside=f".{path.name}.tmp.keras") as temporary:
        model.save(temporary)


def library_versions(backend: str) -> dict[str, str]:
    """Versions of Python and of the libraries that a result depends on; `backend` is Keras's."""
    # tensorflow-cpu, for one, provides tensorflow under another name.
    packages = {name: package_version(name) or "unknown" for name in ("edge-fm", "numpy", "keras", backend)}
    return {"python": platform.python_version(), **packages}
