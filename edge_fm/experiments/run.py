"""Rerun an experiment and store what it achieved."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.experiments.longer_runs import run_folder_of, start_from_shorter
from edge_fm.experiments.results import PRECISION, Result
from edge_fm.experiments.structure import structure_hash
from edge_fm.experiments.table import Experiment
from edge_fm.models.keras_import import require_keras
from edge_fm.models.run_files import HISTORY_FILE, METRICS_FILE, MODEL_FILE
from edge_fm.training import EpochFn, Recipe, recipe_hash
from edge_fm.training.input_pipeline.recipe_data import load_recipe_data, training_and_validation
from edge_fm.training.recipe.keys import with_keys
from edge_fm.training.run.train_once import train_once
from edge_fm.training.streaming.prediction import predict
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent
from edge_fm_runtime.system.machine import describe_machine

if TYPE_CHECKING:
    from edge_fm.data import Dataset

CURVES = ("loss", "accuracy", "val_loss", "val_accuracy")
_BATCH = 250


def run_experiment(
    experiment: Experiment,
    folder: Path,
    *,
    changes: Mapping[str, Any] | None = None,
    seed: int | None = None,
    progress: ProgressFn = silent,
    on_epoch: EpochFn | None = None,
    note: MessageFn = ignore_message,
) -> Result:
    """Train an experiment's recipe and test it once; go on where an earlier call was stopped.

    A run goes on, too, where a finished run in `folder` ended that differs in having fewer epochs alone.

    Args:
        experiment: one of `load_experiments`.
        folder: of all runs of experiments; this one's is `<folder>/<first 12 digits of the recipe's hash>`.
        changes: key path -> value, for a trial, and marked so in the result.
        seed: in place of the recipe's own; the result stands beside those of other seeds.
        progress: as for `train`.
        on_epoch: likewise.
        note: called with the run that this one goes on from, if any.

    Raises:
        EdgeFMError: as for `train`; ModelError where ImageNet weights cannot be had.
    """
    published = experiment.recipe
    changes = dict(changes or {})
    if changes.get(PRECISION) == published.training.precision:
        del changes[PRECISION]
    recipe: Recipe = with_keys(published, changes) if changes else published
    if seed is not None:
        recipe = replace(recipe, seed=seed)
    dataset = load_recipe_data(recipe, progress=progress)
    recipe = replace(recipe, name=experiment.name)
    run = run_folder_of(recipe, folder)
    shorter = start_from_shorter(recipe, folder, dataset)
    if shorter is not None:
        note(f"The epochs of the shorter run in {shorter} are not repeated: this run goes on after them.")
    metrics = train_once(recipe, dataset, run, test=True, progress=progress, on_epoch=on_epoch)
    training, validation = training_and_validation(recipe, dataset)
    model = require_keras("testing").models.load_model(run / MODEL_FILE, compile=False)
    return Result(
        name=experiment.name,
        model=recipe.model.name,
        recipe_hash=recipe_hash(published),
        changes=_stored_changes(changes),
        accuracy=metrics["test_accuracy"],
        val_accuracy=metrics["val_accuracy"],
        epochs=metrics["epochs"],
        best_epoch=metrics["best_epoch"],
        params=metrics["params"],
        seconds=metrics["seconds"],
        seed=metrics["seed"],
        machine=machine_name(),
        date=datetime.fromtimestamp((run / METRICS_FILE).stat().st_mtime, UTC).isoformat(timespec="seconds"),
        data={"name": metrics["data"]["name"], "hash": metrics["data"]["hash"]},
        images={"learn": len(training), "choose": len(validation), "test": len(dataset.test)},
        weights=_weights(recipe.model.weights),
        versions=metrics["versions"],
        structure=structure_hash(model),
        labels=dataset.label_names,
        confusion=_confusion(model, dataset),
        history=read_history(run),
    )


def _confusion(model: Any, dataset: Dataset) -> list[list[int]]:
    """Counts on the test split, rows true, columns predicted."""
    from edge_fm.evaluation import evaluate_probabilities

    probabilities = predict(model, dataset.test.images, batch_size=_BATCH)
    counts: list[list[int]] = evaluate_probabilities(
        probabilities, dataset.test.labels, dataset.label_names
    ).confusion.tolist()
    return counts


def read_history(run: Path) -> dict[str, list[float]]:
    """The learning curves of a run: loss, accuracy, val_loss and val_accuracy, a figure for each epoch."""
    with (run / HISTORY_FILE).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {key: [float(row[key]) for row in rows] for key in CURVES if all(row.get(key) for row in rows)}


def machine_name() -> str:
    """What trains here: the GPU's name where the backend has one, else the CPU's, and its threads."""
    machine = describe_machine()
    backend = require_keras("training").backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if gpus:
            return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU"))
        threads = tf.config.threading.get_intra_op_parallelism_threads() or machine["threads"]
    else:
        threads = machine["threads"]
    return f"{machine['cpu']}, {threads} {'thread' if threads == 1 else 'threads'}"


def _stored_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Without the path that a weights file has on this machine: its name and hash stand in `weights`."""
    stored = dict(changes)
    if _weights(source := str(stored.get("model.weights", "none"))) is not None:
        stored["model.weights"] = Path(source).name
    return stored


def _weights(source: str) -> dict[str, str] | None:
    path = Path(source)
    if source in ("none", "imagenet"):
        return None
    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
