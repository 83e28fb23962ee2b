"""`edgefm evaluate`: accuracy, confusion and more of an artifact or a run, on labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edge_fm.api.evaluate import BATCH_SIZE, evaluate
from edge_fm.cli.console.common import (
    Talk,
    artifact_word,
    engine_options,
    output_options,
    print_json,
    print_table,
    skip_unreadable_option,
)


@click.command("evaluate")
@click.argument("given", metavar="[ARTIFACT|RUN]", required=False)
@click.option("--data", "source", metavar="SOURCE", help="Labelled images. Default: what the model was trained on.")
@click.option(
    "--split",
    type=click.Choice(["test", "train", "validation", "all"]),
    default="test",
    show_default=True,
    help="Which images; validation: a SOURCE's own; all: every image of a SOURCE that the model never saw.",
)
@click.option(
    "--report", type=click.Path(path_type=Path), metavar="DIR", help="Write evaluation.json, plots and report.html."
)
@click.option(
    "--layer",
    metavar="NAME",
    help="Layer of a run whose feature maps the report draws. Default: the first convolution.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=BATCH_SIZE,
    show_default=True,
    help="Images through the engine at once.",
)
@skip_unreadable_option
@engine_options
@output_options
def command(
    given: str | None,
    source: str | None,
    split: str,
    report: Path | None,
    layer: str | None,
    batch_size: int,
    skip_unreadable: float | None,
    engine: str,
    device: str,
    threads: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Answer labelled images and count: accuracy, loss, precision, recall and F1 of each class, confusion matrix.

    Artifacts run on this device's own engine and need no Keras; a run is answered by Keras itself. The report is one
    file, report.html, that needs no network. Without ARTIFACT or RUN it is the one that `edgefm infer` would take.
    """
    talk = Talk(quiet)
    if layer is not None and report is None:
        raise click.UsageError("--layer belongs to --report DIR.")
    with talk.progress() as progress:
        result = evaluate(
            given,
            data=source,
            split=split,
            report=report,
            layer=layer,
            batch_size=batch_size,
            skip_unreadable=skip_unreadable,
            engine=engine,
            device=device,
            threads=threads,
            progress=progress,
            note=talk.note,
            warn=talk.warn,
        )
    printed = result.to_json()
    if as_json:
        print_json(printed)
    else:
        _print(printed)
    verb = "benchmark" if result.is_artifact else "export"
    talk.next(f"edgefm {verb} {artifact_word(result.path)}")


def _print(result: dict[str, Any]) -> None:
    rows = [
        [
            label,
            *(f"{100 * values[k]:.2f}" if values["support"] else "-" for k in ("precision", "recall", "f1")),
            str(values["support"]),
        ]
        for label, values in result["per_class"].items()
    ]
    title = (
        f"{result['model']}: accuracy {100 * result['accuracy']:.2f}% on {result['n']:,} images of {result['data']} "
        f"({result['engine']}, {result['device']}, {result['precision']}), loss {result['loss']:.4f}"
    )
    columns = ["class", "precision %", "recall %", "F1 %", "images"]
    print_table(title, columns, rows, right=(1, 2, 3, 4))
