"""`train`: a recipe and a dataset become a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.api.common.places import RUNS
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent

if TYPE_CHECKING:
    from edge_fm.data import Dataset
    from edge_fm.evaluation.multi_label import MultiLabelEvaluation
    from edge_fm.training import Recipe, RunResult
    from edge_fm.training.run.fit import EpochFn


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What `train` changes in the recipe; None, or nothing, leaves the recipe's own.

    Attributes:
        model: name of the model.
        size: height, width and channels that images are brought to.
        skip_unreadable: share of the images of a folder or a manifest that may be left out as they cannot be read.
        group: what images come from, which splits keep together: a column of a manifest, `FILE:COLUMN` of a file in
            an image folder, or a pattern of the paths; None for what the recipe says.
        label_column: column of a manifest that holds the labels; None for what it says.
        epochs: passes over the training images.
        batch_size: images of one step.
        optimizer: "adam", "adamw", "sgd", "rmsprop" or "muon".
        learning_rate: the schedule's highest.
        weights: to start from: "imagenet", "none" or a file.
        model_options: options of the model, such as {"alpha": 0.35}.
        freeze: what is not trained: "auto", "backbone", "none", or layers and stages.
        unfreeze: layers or stages that are trained nevertheless.
        seed: of everything random.
        settings: any keys of the recipe, such as {"training.ema": 0.999}.
    """

    model: str | None = None
    size: tuple[int, int, int] | None = None
    skip_unreadable: float | None = None
    group: str | None = None
    label_column: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    weights: str | None = None
    model_options: Mapping[str, Any] = field(default_factory=dict)
    freeze: Sequence[str] = ()
    unfreeze: Sequence[str] = ()
    seed: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


_DEFAULTS = TrainOptions()
_FITTED = ("epochs", "batch_size", "freeze", "unfreeze")
"""Options whose keys of the recipe are fitted to the number of photos."""


@dataclass(frozen=True, eq=False)
class PreparedTraining:
    """A training that can begin.

    Attributes:
        recipe: everything that decides the run.
        dataset: what is learned from.
        out: the run's folder; None for a new one under runs/.
        resume: go on after the last whole epoch of the run in `out`.
    """

    recipe: Recipe
    dataset: Dataset
    out: Path | None
    resume: bool

    def folder(self) -> AbstractContextManager[Path]:
        """The run's folder; a new one of a run that fails before it wrote anything is removed."""
        from edge_fm.training import started_run

        return started_run(RUNS, self.recipe.name) if self.out is None else nullcontext(self.out)

    def announcement(self, out: Path) -> str:
        """One sentence: what is trained, on what, how long and into which folder."""
        epochs = self.recipe.training.epochs
        return (
            f"Training {self.recipe.model.name} on {self.dataset.name} ({len(self.dataset.train.images):,} images), "
            f"{epochs} {'epoch' if epochs == 1 else 'epochs'}, into {out}"
        )


def train(
    recipe: str | Path | None = None,
    data: str | None = None,
    out: str | Path | None = None,
    *,
    options: TrainOptions = _DEFAULTS,
    resume: bool = False,
    progress: ProgressFn = silent,
    on_epoch: EpochFn | None = None,
    note: MessageFn = ignore_message,
) -> RunResult:
    """Train a classifier: recipe in, run folder out (model.keras, metrics.json, history, curves, confusion matrix).

    Args:
        recipe: name or file; None for the usual one of the model or, without a model, of the data, or, with
            `resume`, the run's own.
        data: what to learn from; None for the recipe's. With `resume` the place that the run's own data were moved to.
        out: the run's folder; None for a new one under runs/, or, with `resume`, the newest.
        options: what to change in the recipe.
        resume: go on with an unfinished run.
        progress: called after each batch.
        on_epoch: called with each epoch's figures.
        note: called with the choices that were made.

    Raises:
        EdgeFMError: the recipe or the data cannot be used, or the training diverges.
        KeyboardInterrupt: it was stopped; the finished epochs are stored in the folder.
    """
    prepared = prepare_training(recipe, data, out, options=options, resume=resume, progress=progress, note=note)
    with prepared.folder() as folder:
        note(prepared.announcement(folder))
        return train_prepared(prepared, folder, progress=progress, on_epoch=on_epoch, note=note)


def prepare_training(
    recipe: str | Path | None = None,
    data: str | None = None,
    out: str | Path | None = None,
    *,
    options: TrainOptions = _DEFAULTS,
    resume: bool = False,
    progress: ProgressFn = silent,
    note: MessageFn = ignore_message,
) -> PreparedTraining:
    """Read the recipe, change it, and load its data; arguments as for `train`."""
    from edge_fm.api.common.photo_fit import fitted, is_photo_recipe, sizes
    from edge_fm.api.common.usual_recipe import usual_recipe
    from edge_fm.models.keras_import import require_keras_installed
    from edge_fm.training import latest_run, load_recipe, with_overrides
    from edge_fm.training.input_pipeline.checks import check_class_counts
    from edge_fm.training.input_pipeline.enough_epochs import is_recipe_file, with_enough_epochs
    from edge_fm.training.input_pipeline.recipe_data import load_recipe_data, notes_of_preparation
    from edge_fm.training.optimization.initial_weights import check_weights
    from edge_fm.training.recipe.keys import with_keys
    from edge_fm.training.recipe.overrides import OPTION_KEYS, check_given_once
    from edge_fm_runtime.errors import TrainingError

    check_given_once({**vars(options), "data": data}, options.settings, "--set")
    folder: Path | None
    if resume:
        folder = latest_run(RUNS) if out is None else Path(out)
        if not (folder / "recipe.toml").is_file():
            raise TrainingError(
                f"There is no run to resume in {folder}.",
                hint="Name one with --out, or leave --resume out to start one.",
            )
        of_run = folder / "recipe.toml"
        shipped = load_recipe(of_run if recipe is None else recipe)
        if data is not None and (recipe is None or Path(recipe).resolve() == of_run.resolve()):
            # The run's own data in another place: the rest of [data] is about them, and stays.
            shipped = replace(shipped, data=replace(shipped.data, source=data))
    else:
        folder = None if out is None else Path(out)
        recipe = recipe or usual_recipe(options.model, data, options.size, note=note)
        shipped = load_recipe(recipe)
    fits_photos = not resume and is_photo_recipe(recipe)
    size, model_options = options.size, dict(options.model_options)
    if recipe is not None and fits_photos:
        size, model_options = sizes(recipe, shipped, size, model_options)
    edited = with_overrides(
        shipped,
        model=options.model,
        data=data,
        size=size,
        skip_unreadable=options.skip_unreadable,
        group=options.group,
        label_column=options.label_column,
        epochs=options.epochs,
        batch_size=options.batch_size,
        optimizer=options.optimizer,
        learning_rate=options.learning_rate,
        weights=options.weights,
        options=model_options,
        freeze=options.freeze or None,
        unfreeze=options.unfreeze or None,
        seed=options.seed,
    )
    if options.settings:
        edited = with_keys(edited, options.settings)
    require_keras_installed("Training")
    if not resume:
        check_weights(edited.model.name, edited.model.weights)
    dataset = load_recipe_data(edited, progress=progress, note=note)
    check_class_counts(dataset)
    if fits_photos:
        given = {OPTION_KEYS[option] for option in _FITTED if getattr(options, option)} | set(options.settings)
        edited = fitted(edited, dataset, given=given, note=note)
    for line in notes_of_preparation(edited, dataset):  # after it was fitted, which decides what validation images do
        note(line)
    from_file = is_recipe_file(str(recipe or ""))
    if not resume and (from_file or edited.data.source != shipped.data.source):
        own = from_file or fits_photos or options.epochs is not None or "training.epochs" in options.settings
        edited, lines = with_enough_epochs(edited, dataset, given=own)
        for line in lines:
            note(line)
    return PreparedTraining(edited, dataset, folder, resume)


def train_prepared(
    prepared: PreparedTraining,
    out: Path,
    *,
    progress: ProgressFn = silent,
    on_epoch: EpochFn | None = None,
    note: MessageFn = ignore_message,
) -> RunResult:
    """Train into `out`, then draw curves and confusion matrix; arguments as for `train`."""
    from edge_fm.training import train as fit

    result = fit(
        prepared.recipe,
        prepared.dataset,
        out,
        resume=prepared.resume,
        progress=progress,
        on_epoch=on_epoch,
        note=note,
    )
    _plot(result, prepared.dataset)
    return result


def _plot(result: RunResult, dataset: Dataset) -> None:
    """Draw curves and confusion matrix, and store the whole evaluation, from what the run has already predicted."""
    from edge_fm.evaluation import evaluate_probabilities, plot_confusion, plot_curves
    from edge_fm.training.run.run_folder import write_json

    plot_curves(result.history, result.run_dir / "curves.png", kept=result.metrics["best_epoch"])
    if dataset.multi_label:
        write_json(result.run_dir / "evaluation.json", _evaluate_labels(result, dataset).to_json())
        return
    evaluation = evaluate_probabilities(result.test_probabilities, dataset.test.labels, dataset.label_names)
    write_json(result.run_dir / "evaluation.json", evaluation.to_json())
    plot_confusion(evaluation.confusion, dataset.label_names, result.run_dir / "confusion.png")


def _evaluate_labels(result: RunResult, dataset: Dataset) -> MultiLabelEvaluation:
    from edge_fm.api.common.labelled import labels_of
    from edge_fm.evaluation.multi_label import evaluate_multi_label

    labels, thresholds = result.metrics["labels"], result.metrics["scores"]["label_thresholds"]["values"]
    truth = labels_of(dataset, dataset.test, labels)
    return evaluate_multi_label(result.test_probabilities, truth, labels, thresholds)
