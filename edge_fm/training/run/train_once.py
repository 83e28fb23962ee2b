"""A run that is trained once: started, resumed or read, whichever is left to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.models.keras_import import require_keras
from edge_fm.models.run_files import METRICS_FILE, MODEL_FILE, RECIPE_FILE
from edge_fm.training.distillation.distillation import with_teacher_hashes
from edge_fm.training.input_pipeline.enough_epochs import with_epochs_of_steps
from edge_fm.training.input_pipeline.recipe_data import training_and_validation
from edge_fm.training.recipe import Recipe
from edge_fm.training.recipe.identity import recipe_hash
from edge_fm.training.recipe.paths import with_absolute_paths
from edge_fm.training.run import run_folder
from edge_fm.training.run.fit import EpochFn, train
from edge_fm.training.run.folder_lock import locked_folder
from edge_fm.training.run.selection import score
from edge_fm.training.streaming.prediction import predict
from edge_fm_runtime.errors import TrainingError
from edge_fm_runtime.progress import ProgressFn, silent
from edge_fm_runtime.system.json_text import parse_json

if TYPE_CHECKING:
    from edge_fm.data import Dataset

_BATCH = 250


def train_once(
    recipe: Recipe,
    dataset: Dataset,
    folder: Path,
    *,
    test: bool,
    progress: ProgressFn = silent,
    on_epoch: EpochFn | None = None,
) -> dict[str, Any]:
    """Train into `folder`, or resume the run that is there, or read its figures where it is finished.

    Args:
        recipe: everything that decides the run.
        dataset: what to learn from.
        folder: of this run and no other.
        test: evaluate the model on the test split; a finished run that was not evaluated on it is evaluated now.
        progress: as for `train`; not called for a finished run.
        on_epoch: likewise.

    Returns:
        The run's metrics.json; without `test`, test_accuracy and test_loss may be None.

    Raises:
        TrainingError: the folder holds a run of another recipe or other data; and as for `train`.
    """
    recipe = with_epochs_of_steps(recipe, len(training_and_validation(recipe, dataset)[0]))
    if not (folder / MODEL_FILE).exists():
        resume = (folder / RECIPE_FILE).exists()
        return train(recipe, dataset, folder, resume=resume, test=test, progress=progress, on_epoch=on_epoch).metrics
    metrics = read_metrics(folder)
    known = with_teacher_hashes(recipe)
    # A run of an earlier version has the paths as they were given.
    same_recipe = (recipe_hash(with_absolute_paths(known)), recipe_hash(known))
    trained_on = metrics["data"]["hash"]
    same_data = (trained_on if dataset.has_hash(trained_on) else dataset.content_hash,)
    for what, theirs, ours in (
        ("recipe", metrics["recipe_hash"], same_recipe),
        ("data", metrics["data"]["hash"], same_data),
    ):
        if theirs not in ours:
            raise TrainingError(
                f"The run in {folder} was trained with another {what}: {theirs[:12]} then, {ours[0][:12]} now.",
                hint="Name another folder with --out, or delete this one.",
            )
    if test and metrics["test_accuracy"] is None:
        keras = require_keras("testing")
        with locked_folder(folder):
            model = keras.models.load_model(folder / MODEL_FILE, compile=False)
            probabilities = predict(model, dataset.test.images, batch_size=_BATCH)
            metrics |= score(probabilities, dataset.test.labels).named("test")
            run_folder.write_json(folder / METRICS_FILE, metrics)
    return metrics


def read_metrics(folder: Path) -> dict[str, Any]:
    """The metrics.json of a finished run.

    Raises:
        TrainingError: it is missing or damaged.
    """
    path = folder / METRICS_FILE
    try:
        metrics: dict[str, Any] = parse_json(path.read_text("utf-8"))
        _ = metrics["recipe_hash"], metrics["data"]["hash"], metrics["test_accuracy"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"{path} cannot be read: {error}.", hint=f"Delete {folder}; it is trained again then."
        ) from error
    return metrics
