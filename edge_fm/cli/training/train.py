"""`edgefm train`: train a model and leave a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edge_fm.cli.console.console import Console, shell_word
from edge_fm.cli.console.study_tables import print_run
from edge_fm.cli.options import PATH, console_options, each_once, setting, size_option, source_options


@click.command("train")
@click.option("--model", metavar="NAME", help="Model to train; `edgefm models` lists them. Default: the recipe's.")
@click.option(
    "--data",
    metavar="SOURCE",
    help="What to learn from; see `edgefm data`. Default: the recipe's. With --resume: where the run's data are now.",
)
@size_option
@source_options
@click.option("--epochs", type=int, help="Passes over the training images. Default: the recipe's.")
@click.option("--batch-size", type=int, help="Images of one step. Default: the recipe's.")
@click.option("--optimizer", metavar="NAME", help="adam, adamw, sgd, rmsprop or muon. Default: the recipe's.")
@click.option(
    "--learning-rate", type=float, help="The schedule's highest. Default: the recipe's, or the optimizer's usual one."
)
@click.option("--weights", metavar="imagenet|none|FILE", help="Weights to start from. Default: the recipe's.")
@click.option(
    "--option",
    "model_options",
    type=setting("alpha=0.35"),
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
    metavar="NAME|FILE",
    help="Recipe to run. Default: that of --model (edgenet-s, or transfer for a model with a backbone), else photo for "
    "colour images of more than 64 pixels and edgenet-s for others.",
)
@click.option(
    "--set",
    "settings",
    type=setting("training.ema=0.999"),
    multiple=True,
    metavar="KEY=VALUE",
    help="Any key of the recipe, such as training.ema=0.999, augmentation.cutout=8 or distillation.teacher=runs/big. "
    "Repeatable.",
)
@click.option("--resume", is_flag=True, help="Go on with an unfinished run: the one in --out, else the newest.")
@click.option("--out", type=PATH, metavar="DIR", help="Folder of the run. Default: a new one under runs/.")
@console_options
def command(
    console: Console,
    recipe: str | None,
    data: str | None,
    out: Path | None,
    resume: bool,
    model_options: tuple[tuple[str, Any], ...],
    settings: tuple[tuple[str, Any], ...],
    **changes: Any,
) -> None:
    """Train a classifier: recipe in, run folder out (model.keras, metrics.json, history, curves, confusion matrix).

    Options edit the recipe, and the edited recipe is stored in the run. Ctrl-C or a killed machine loses at most the
    running epoch: go on with --resume.
    """
    from edge_fm.api.train import TrainOptions, prepare_training
    from edge_fm.cli.console.train_run import epoch_printer, train_run

    options = TrainOptions(
        **changes, model_options=each_once(model_options, "--option"), settings=each_once(settings, "--set")
    )
    prepared = console.call(prepare_training, recipe=recipe, data=data, out=out, options=options, resume=resume)
    with prepared.folder() as run:
        console.note(prepared.announcement(run))
        result = console.call(train_run, prepared=prepared, out=run, on_epoch=epoch_printer(console))
    console.show(result, print_run)
    console.next(f"edgefm export {shell_word(run)} --format all", f"edgefm evaluate {shell_word(run)}")
