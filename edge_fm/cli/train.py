"""`edgefm train`: train a model and leave a run."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_fm.api.places import RUNS
from edge_fm.cli.common import Talk, output_options, parse_shape, print_json, print_table, skip_unreadable_option, word
from edge_fm.cli.interrupt import ctrl_c_kept, exit_code

if TYPE_CHECKING:
    from edge_fm.data import Dataset
    from edge_fm.training import Recipe, RunResult


@click.command("train")
@click.option("--model", metavar="NAME", help="Model to train; `edgefm models` lists them. Default: the recipe's.")
@click.option(
    "--data", "source", metavar="SOURCE", help="What to learn from; see `edgefm data`. Default: the recipe's."
)
@click.option("--size", metavar="HxWxC", help="Bring images to this height, width and channels, such as 28x28x1.")
@skip_unreadable_option
@click.option("--epochs", type=int, help="Passes over the training images. Default: the recipe's.")
@click.option("--batch-size", type=int, help="Images of one step. Default: the recipe's.")
@click.option("--optimizer", metavar="NAME", help="adam, adamw, sgd, rmsprop or muon. Default: the recipe's.")
@click.option(
    "--learning-rate", type=float, help="The schedule's highest. Default: the recipe's, or the optimizer's usual one."
)
@click.option("--weights", metavar="imagenet|none|FILE", help="Weights to start from. Default: the recipe's.")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the model, such as alpha=0.35; `edgefm models` lists them. Repeatable.",
)
@click.option(
    "--freeze",
    multiple=True,
    metavar="auto|backbone|none|NAME",
    help="What is not trained: the backbone, nothing, or a layer or stage (repeatable). Default: the recipe's; auto "
    "freezes a backbone that does not start from fresh weights.",
)
@click.option(
    "--unfreeze", multiple=True, metavar="NAME", help="A layer or stage that is trained nevertheless, such as layer4."
)
@click.option("--seed", type=int, help="Of everything random. Default: the recipe's.")
@click.option(
    "--recipe",
    "recipe_name",
    metavar="NAME|FILE",
    help="Recipe to run. Default: edgenet-s, or transfer for a model with a backbone.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Any key of the recipe, such as training.ema=0.999, augmentation.cutout=8 or distillation.teacher=runs/big. "
    "Repeatable.",
)
@click.option("--resume", is_flag=True, help="Go on with an unfinished run: the one in --out, else the newest.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the run. Default: a new one under runs/."
)
@output_options
def command(
    model: str | None,
    source: str | None,
    size: str | None,
    skip_unreadable: float | None,
    epochs: int | None,
    batch_size: int | None,
    optimizer: str | None,
    learning_rate: float | None,
    weights: str | None,
    options: tuple[str, ...],
    freeze: tuple[str, ...],
    unfreeze: tuple[str, ...],
    seed: int | None,
    settings: tuple[str, ...],
    recipe_name: str | None,
    resume: bool,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train a classifier: recipe in, run folder out (model.keras, metrics.json, history, curves, confusion matrix).

    Options edit the recipe, and the edited recipe is kept in the run. Ctrl-C or a killed machine loses at most the
    running epoch: go on with --resume.
    """
    from edge_fm.training import latest_run, load_recipe, started_run, with_overrides
    from edge_fm.training.enough_steps import is_recipe_file, with_enough_epochs
    from edge_fm.training.keys import with_keys
    from edge_fm.training.overrides import default_recipe
    from edge_fm.training.recipe_data import load_recipe_data, notes_of_preparation
    from edge_fm_runtime.errors import TrainingError

    talk = Talk(quiet)
    if resume:
        out = latest_run(RUNS) if out is None else out
        if not (out / "recipe.toml").is_file():
            raise TrainingError(
                f"There is no run to resume in {out}.", hint="Name one with --out, or leave --resume out to start one."
            )
        shipped = load_recipe(out / "recipe.toml" if recipe_name is None else recipe_name)
    else:
        shipped = load_recipe(recipe_name or default_recipe(model))
    recipe = with_overrides(
        shipped,
        model=model,
        data=source,
        skip_unreadable=skip_unreadable,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        learning_rate=learning_rate,
        weights=weights,
        options=_pairs(options, "--option", "alpha=0.35"),
        freeze=freeze or None,
        unfreeze=unfreeze or None,
        seed=seed,
    )
    changes = _pairs(settings, "--set", "training.ema=0.999")
    if changes:
        recipe = with_keys(recipe, changes)
    if size is not None:
        recipe = replace(recipe, data=replace(recipe.data, shape=parse_shape(size) or ()))
    with talk.progress() as progress:
        dataset = load_recipe_data(recipe, progress=progress, on_try=talk.note)
    for line in notes_of_preparation(recipe, dataset):
        talk.note(line)
    from_file = is_recipe_file(recipe_name or "")
    if not resume and (from_file or recipe.data.source != shipped.data.source):
        own = from_file or epochs is not None or "training.epochs" in changes
        recipe, lines = with_enough_epochs(recipe, dataset, chosen=own)
        for line in lines:
            talk.note(line)
    with started_run(RUNS, recipe.name) if out is None else nullcontext(out) as out:
        talk.note(
            f"Training {recipe.model.name} on {dataset.name} ({len(dataset.train.images):,} images), "
            f"{recipe.training.epochs} epochs, into {out}"
        )
        result = train_run(recipe, dataset, out, talk, resume=resume)
    if as_json:
        print_json(result.metrics)
    else:
        _print(result)
    folder = word(out)
    talk.next(f"edgefm export {folder} --format all", f"edgefm evaluate {folder}")


def _pairs(given: tuple[str, ...], option: str, example: str) -> dict[str, Any]:
    """Names and values of a repeated option, the values read as TOML writes them."""
    from edge_fm.training.keys import parse_value

    pairs = [text.partition("=") for text in given]
    wrong = next((text for text, pair in zip(given, pairs, strict=True) if not pair[0] or not pair[1]), None)
    if wrong is not None:
        raise click.BadParameter(f"{wrong!r} is no NAME=VALUE, such as {example}.", param_hint=option)
    return {name.strip(): parse_value(value.strip()) for name, _, value in pairs}


def train_run(recipe: Recipe, dataset: Dataset, out: Path, talk: Talk, *, resume: bool = False) -> RunResult:
    """Train with progress on stderr, then draw the plots; Ctrl-C ends the process with how to go on."""
    from edge_fm.training import train

    def on_epoch(epoch: int, epochs: int, row: dict[str, float]) -> None:
        talk.note(
            f"epoch {epoch:3}/{epochs}  loss {row['loss']:.4f}  val_loss {row['val_loss']:.4f}  "
            f"val_accuracy {100 * row['val_accuracy']:.2f}%  {row['seconds']:.1f} s"
        )

    try:
        with talk.progress() as progress, ctrl_c_kept(progress) as asked:
            result = train(recipe, dataset, out, resume=resume, progress=asked, on_epoch=on_epoch, note=talk.note)
    except KeyboardInterrupt:
        if (out / "recipe.toml").is_file():
            talk.note("\nStopped. The finished epochs are kept.")
            talk.next(f"edgefm train --resume --out {word(out)}")
        else:
            talk.note("\nStopped before the first epoch began; nothing is kept.")
        sys.exit(exit_code())
    _plot(result, dataset)
    return result


def _plot(result: RunResult, dataset: Dataset) -> None:
    """Draw curves and confusion matrix, and keep the whole evaluation, from what the run has already answered."""
    from edge_fm.evaluation import evaluate_probabilities, plot_confusion, plot_curves
    from edge_fm.training.run_folder import write_json

    evaluation = evaluate_probabilities(result.test_probabilities, dataset.test.labels, dataset.label_names)
    write_json(result.run_dir / "evaluation.json", evaluation.to_json())
    plot_curves(result.history, result.run_dir / "curves.png")
    plot_confusion(evaluation.confusion, dataset.label_names, result.run_dir / "confusion.png")


def _print(result: RunResult) -> None:
    metrics: dict[str, Any] = result.metrics
    rows = [
        ["model", f"{metrics['model']}, {metrics['params']:,} parameters"],
        [
            "test accuracy",
            f"{100 * metrics['test_accuracy']:.2f}%" + (", too good: see above" if metrics["test_leaks"] else ""),
        ],
        [
            "validation accuracy",
            f"{100 * metrics['val_accuracy']:.2f}% (epoch {metrics['best_epoch']})"
            + (", too good: see above" if metrics["validation_leaks"] else ""),
        ],
        ["training accuracy", f"{100 * metrics['train_accuracy']:.2f}%"],
        ["time", f"{metrics['seconds']:.0f} s, {metrics['epochs']} epochs"],
        ["files", f"{result.run_dir}/ model.keras recipe.toml history.csv metrics.json curves.png confusion.png"],
    ]
    print_table(f"Run {result.run_dir}", ["what", "value"], rows, wraps=["value"])
