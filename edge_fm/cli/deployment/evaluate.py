"""`edgefm evaluate`: accuracy, confusion and more of an artifact or a run, on labelled images."""

from __future__ import annotations

from typing import Any

import click

from edge_fm.api.evaluate import BATCH_SIZE, evaluate
from edge_fm.cli.console.artifact_tables import print_evaluation
from edge_fm.cli.console.console import Console, artifact_name
from edge_fm.cli.options import (
    PATH,
    batch_size_option,
    console_options,
    signature_option,
    source_options,
    with_browser_engine,
)


@click.command("evaluate")
@click.argument("model", metavar="[ARTIFACT|RUN]", required=False)
@click.option("--data", metavar="SOURCE", help="Labelled images. Default: what the model was trained on.")
@click.option(
    "--split",
    type=click.Choice(["test", "train", "validation", "all"]),
    default="test",
    show_default=True,
    help="Which images; validation: a SOURCE's own; all: every image of a SOURCE that the model never saw.",
)
@click.option("--report", type=PATH, metavar="DIR", help="Write evaluation.json, plots and report.html.")
@click.option(
    "--layer",
    metavar="NAME",
    help="Layer of a run whose feature maps the report draws. Default: the first convolution.",
)
@batch_size_option(BATCH_SIZE)
@source_options
@with_browser_engine
@signature_option
@console_options
def command(console: Console, **options: Any) -> None:
    """Classify labelled images and count: accuracy, loss, precision, recall and F1 of each class, confusion matrix.

    Artifacts run on this device's own engine and need no Keras; Keras itself runs the model of a run. The report is one
    file, report.html, that needs no network. Without ARTIFACT or RUN it is the one that `edgefm infer` would take.
    """
    if options["layer"] is not None and options["report"] is None:
        raise click.UsageError("--layer belongs to --report DIR.")
    result = console.call(evaluate, **options, warn=console.warn)
    console.show(result, print_evaluation)
    console.next(f"edgefm {'benchmark' if result.is_artifact else 'export'} {artifact_name(result.path)}")
