"""One training run, from a recipe and a dataset to a run folder.

Each epoch is one call of Keras's `fit` on batches that are a pure function of (seed, epoch, batch); between two
epochs the whole state goes into the checkpoint. So a run that was stopped anywhere and resumed ends with the same
weights as one that was not.

Same recipe, data, machine and versions give the same result. Two things that Keras does not control stay with the
caller: the number of threads of the backend, and on GPUs its own switch for deterministic kernels (for TensorFlow
`TF_DETERMINISTIC_OPS=1`).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from edge_fm.models.keras_import import require_keras
from edge_fm.models.run_files import HISTORY_FILE, RECIPE_FILE
from edge_fm.training.distillation.distillation import with_teacher_hashes
from edge_fm.training.distillation.teacher_predictions import TeacherPredictions
from edge_fm.training.input_pipeline.batches import epoch_batches, steps_per_epoch
from edge_fm.training.input_pipeline.checks import check_augmentation, check_classes, check_clock, check_dataset
from edge_fm.training.input_pipeline.enough_epochs import with_epochs_of_steps
from edge_fm.training.input_pipeline.leakage import find_leaks, note_of_conflicts, notes_of_copies, notes_of_leaks
from edge_fm.training.input_pipeline.other_things import with_other_things
from edge_fm.training.input_pipeline.photo_augmentation import photo_classes
from edge_fm.training.input_pipeline.recipe_data import training_and_validation
from edge_fm.training.optimization.precision import precision_note
from edge_fm.training.optimization.schedules import plateau_rate
from edge_fm.training.recipe import Recipe
from edge_fm.training.recipe.file import recipe_toml
from edge_fm.training.recipe.identity import recipe_hash
from edge_fm.training.recipe.overrides import with_overrides
from edge_fm.training.recipe.paths import with_absolute_paths
from edge_fm.training.run import run_folder
from edge_fm.training.run.advice import notes_of_missing_classes
from edge_fm.training.run.callback import batch_callback
from edge_fm.training.run.checkpoint import RunState, save_state
from edge_fm.training.run.folder_lock import locked_folder
from edge_fm.training.run.learner import Learner
from edge_fm.training.run.results import RunResult, finalize_run, is_over
from edge_fm.training.run.resume import open_run
from edge_fm.training.run.selection import LabelScores, Scores, rank, score, score_labels
from edge_fm.training.run.tensorboard import EpochLog, require_writer
from edge_fm.training.streaming.failing_batches import raising_own_errors
from edge_fm.training.streaming.keras_input import keras_input
from edge_fm_export.compat.tensorflow_graphs import retracing_warnings_hidden
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent

if TYPE_CHECKING:
    from edge_fm.data import Dataset, Split

EpochFn: TypeAlias = Callable[[int, int, dict[str, float]], None]
"""Called as `on_epoch(epoch, epochs, row)` after each epoch, from 1; `row` is the epoch's row of history.csv."""


def train(
    recipe: Recipe,
    dataset: Dataset,
    out_dir: Path,
    *,
    resume: bool = False,
    weights: str | None = None,
    test: bool = True,
    progress: ProgressFn = silent,
    on_epoch: EpochFn | None = None,
    note: MessageFn = ignore_message,
) -> RunResult:
    """Train a model, select the weights of its best epoch on validation images or of its last, and test it once.

    Sets the global seeds of Python, NumPy and the backend (`keras.utils.set_random_seed`).

    Args:
        recipe: everything that decides the run.
        dataset: uint8 images; without a validation split of its own, validation images are taken from training.
        out_dir: the run's folder; empty or new, or an unfinished run's with `resume`.
        resume: go on after the last whole epoch of the run in `out_dir`.
        weights: "none" or a file, in place of the recipe's own.
        test: False leaves the test split alone, as every selection among runs must; test_accuracy and test_loss are
            None then, and there are no test probabilities.
        progress: called with "training" after each batch (done and total count the whole run's batches), then
            "testing", or "evaluating" where the test split is left alone.
        on_epoch: called with each epoch's figures.
        note: called with where weights and features come from, which of them have learned from validation images,
            which classes have no validation or test images, whether this machine has to emulate the recipe's
            precision, the temperature that was fitted, and at the end what would have helped.

    Returns:
        RunResult; the folder holds recipe.toml, history.csv, metrics.json, checkpoint/ and, written last, model.keras.

    Raises:
        TrainingError: unsuitable data, a folder that another process writes to or that holds something else, nothing to
            resume, a changed recipe, a loss that is not finite, a clock that is wrong by decades.
        ModelError: the model cannot take these images, or the weights do not fit.
        MissingDependencyError: Keras, its backend, tomli-w or, where asked for, tensorboardX is not installed.
        KeyboardInterrupt: passed on; the checkpoint is whole and `resume` continues from it.

    Example:
        >>> from pathlib import Path
        >>> from edge_fm.data import load_dataset
        >>> from edge_fm.training import load_recipe, train
        >>> result = train(load_recipe("quickstart"), load_dataset("fashion-mnist-mini"), Path("run"))  # doctest: +SKIP
        >>> result.metrics["test_accuracy"] > 0.8  # doctest: +SKIP
        True
    """
    check_clock()
    with locked_folder(out_dir), retracing_warnings_hidden():
        keras = require_keras("training")
        recipe = with_teacher_hashes(with_absolute_paths(with_overrides(recipe, weights=weights)))
        check_dataset(dataset)
        check_augmentation(recipe.augmentation, dataset.train.images.shape[1:])
        train_split, validation_split = training_and_validation(recipe, dataset)
        learned = with_other_things(recipe, dataset, train_split, validation_split, progress=progress, note=note)
        recipe = with_epochs_of_steps(recipe, len(learned.images))
        state = open_run(recipe, dataset, out_dir, resume=resume)
        started = time.monotonic() - (state.duration_s if state else 0.0)

        check_classes(dataset, train_split, validation_split)
        photo_classes(recipe.augmentation, dataset.label_names)
        leaks = find_leaks(recipe, dataset, validation_split, test=test)
        conflicts = note_of_conflicts(dataset, test=test)
        copies = notes_of_copies(
            train_split,
            validation_split,
            dataset.test if test else None,
            drawn=dataset.validation is None,
            droppable=not conflicts,
        )
        missing = notes_of_missing_classes(dataset, validation_split, test=test)
        leaked = notes_of_leaks(leaks, validation_split)
        for line in (precision_note(recipe.training.precision), *missing, *copies, conflicts, *leaked):
            if line:
                note(line)

        if recipe.training.tensorboard:
            require_writer()  # raised now, not when the folder is made

        keras.utils.set_random_seed(recipe.seed)
        steps = steps_per_epoch(len(learned.images), recipe.training.batch_size)
        learner = Learner(recipe, dataset, steps, weights="none" if state else recipe.model.weights)
        if state is None:
            run_folder.write_text(out_dir / RECIPE_FILE, recipe_toml(recipe))
        else:
            learner.restore(state)
        if learner.weights_note:
            note(learner.weights_note)
        if state is None and recipe.training.head_epochs:
            learner.fit_head_first(dataset, train_split, progress=progress, note=note)
        validation_files = validation_split.files  # features that stand for the images have none
        train_split, validation_split = learner.inputs_of(
            dataset, train_split, validation_split, progress=progress, note=note
        )
        if not recipe.data.other_things:
            learned = train_split  # or the features that stand for it

        epochs = recipe.training.epochs
        teachers = None
        if learner.teachers and recipe.distillation.views:
            teachers = TeacherPredictions(learner.teachers, recipe, train_split, dataset)
            note(teachers.note)
        with EpochLog(recipe, out_dir, done=state.epoch if state else 0) as log:
            while state is None or not is_over(recipe, state):
                row, state = _one_epoch(learner, state, learned, validation_split, dataset, teachers, progress, started)
                save_state(out_dir, state)
                run_folder.write_history(out_dir / HISTORY_FILE, state.history)
                log.write(row)
                if on_epoch:
                    on_epoch(state.epoch, epochs, row)

        return finalize_run(
            learner,
            state,
            train_split,
            dataclasses.replace(validation_split, files=validation_files),
            dataset,
            out_dir,
            progress,
            started,
            leaks=leaks,
            test=test,
            note=note,
        )


def _one_epoch(
    learner: Learner,
    state: RunState | None,
    train_split: Split,
    validation_split: Split,
    dataset: Dataset,
    teachers: TeacherPredictions | None,
    progress: ProgressFn,
    started: float,
) -> tuple[dict[str, float], RunState]:
    keras = require_keras("training")
    recipe = learner.recipe
    history = state.history if state else ()
    epoch = len(history)
    if recipe.schedule.name == "plateau":
        losses = [row["val_loss"] for row in history]
        learner.optimizer.learning_rate = plateau_rate(
            recipe.schedule, peak=recipe.optimizer.peak_rate, val_losses=losses
        )
    began = time.monotonic()
    batches = epoch_batches(
        train_split.images,
        train_split.labels,
        recipe,
        classes=learner.classes,
        epoch=epoch,
        label_names=dataset.label_names,
        teacher_predictions=teachers.of_epoch(epoch, progress) if teachers else None,
        targets=learner.targets,
    )
    learned = time.monotonic()
    with raising_own_errors(batches):
        logs = learner.fitted.fit(
            keras_input(batches),
            shuffle=False,  # The order is the batches' own.
            verbose=0,
            callbacks=[batch_callback(progress, epoch, recipe.training.epochs, learner.steps, recipe.optimizer)],
        ).history
    trained = time.monotonic() - learned
    weights = learner.update_evaluated(batches)
    probabilities = learner.probabilities(validation_split.images)
    validation: Scores | LabelScores
    if learner.multi_label:
        validation = score_labels(probabilities, learner.targets[validation_split.labels])
    else:
        validation = score(probabilities, validation_split.labels)
    figures = validation.named("val")
    row = {
        "epoch": epoch + 1,
        "loss": float(logs["loss"][-1]),
        "accuracy": float(logs["accuracy"][-1]),
        "val_loss": figures.pop("val_loss"),
        "val_accuracy": figures.pop("val_accuracy"),
        **figures,
        "learning_rate": float(keras.ops.convert_to_numpy(learner.optimizer.learning_rate)),
        "seconds": round(time.monotonic() - began, 3),
        "images_per_s": round(learner.steps * recipe.training.batch_size / trained, 1),
    }
    before = history[state.best_epoch - 1] if state else None
    by = recipe.training.select_by
    better = before is None or rank(row, by) > rank(before, by)
    better |= recipe.training.keep == "last"
    return row, RunState(
        epoch=epoch + 1,
        model=[np.array(v.numpy()) for v in learner.model.variables],
        optimizer=[np.array(v.numpy()) for v in learner.optimizer.variables],
        best=weights if state is None or better else state.best,
        best_epoch=epoch + 1 if state is None or better else state.best_epoch,
        history=(*history, row),
        recipe_hash=recipe_hash(recipe),
        data_hash=dataset.content_hash,
        backend=keras.backend.backend(),
        duration_s=time.monotonic() - started,
    )
