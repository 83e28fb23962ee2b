"""`edgefm train`: train a model and leave a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_fm.cli.console.common import (
    Talk,
    output_options,
    parse_shape,
    print_json,
    print_table,
    skip_unreadable_option,
    word,
)

if TYPE_CHECKING:
    from edge_fm.training import RunResult


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
    from edge_fm.api.train import TrainOptions, prepare_training
    from edge_fm.cli.console.train_run import train_run

    talk = Talk(quiet)
    changes = TrainOptions(
        model=model,
        size=parse_shape(size),
        skip_unreadable=skip_unreadable,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        learning_rate=learning_rate,
        weights=weights,
        model_options=_pairs(options, "--option", "alpha=0.35"),
        freeze=freeze,
        unfreeze=unfreeze,
        seed=seed,
        settings=_pairs(settings, "--set", "training.ema=0.999"),
    )
    with talk.progress() as progress:
        prepared = prepare_training(
            recipe_name, source, out, options=changes, resume=resume, progress=progress, note=talk.note
        )
    with prepared.folder() as run:
        talk.note(prepared.announcement(run))
        result = train_run(prepared, run, talk)
    if as_json:
        print_json(result.to_json())
    else:
        _print(result)
    folder = word(run)
    talk.next(f"edgefm export {folder} --format all", f"edgefm evaluate {folder}")


def _pairs(given: tuple[str, ...], option: str, example: str) -> dict[str, Any]:
    """Names and values of a repeated option, the values read as TOML writes them."""
    from edge_fm.training.recipe.keys import parse_value

    pairs = [text.partition("=") for text in given]
    wrong = next((text for text, pair in zip(given, pairs, strict=True) if not pair[0] or not pair[1]), None)
    if wrong is not None:
        raise click.BadParameter(f"{wrong!r} is no NAME=VALUE, such as {example}.", param_hint=option)
    return {name.strip(): parse_value(value.strip()) for name, _, value in pairs}


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
