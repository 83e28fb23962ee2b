"""`edgefm export`: a run or any `.keras` file becomes proven artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edge_fm.cli.console.artifact_tables import print_plan
from edge_fm.cli.console.console import Console, shell_word
from edge_fm.cli.console.export_table import print_results
from edge_fm.cli.deployment.export_options import export_options
from edge_fm.cli.options import PATH, console_options


@click.command("export")
@click.argument("model", required=False, type=PATH, metavar="[RUN|MODEL.keras|NAME]")
@export_options
@console_options
def command(
    console: Console,
    model: Path | None,
    formats: tuple[str, ...],
    precisions: tuple[str, ...],
    preset: str | None,
    input_scale: str | None,
    mean: str | None,
    std: str | None,
    out: Path | None,
    dry_run: bool,
    **given: Any,
) -> None:
    """Export to SavedModel, ONNX, OpenVINO IR and LiteRT; write only what still predicts like the original.

    Without an argument the newest run is exported. Each artifact is run on the whole evaluation set beside the Keras
    original; one that is out of tolerance is not written, and the exit code is 3. Agreement and accuracy drop are
    checked against what so many images can show: an artifact fails where its whole 95% interval is out of tolerance,
    and gets a warning where its estimate is. NAME is a trained model of the package, such as edgenet-n.
    """
    from edge_fm.api.common.export_options import ExportOptions
    from edge_fm.api.export import export, plan_export
    from edge_fm_export.third_party_models.pixel_scaling import parse_preprocessing

    if dry_run:
        console.show(plan_export(model, formats, precisions), print_plan)
        return
    options = ExportOptions(preprocessing=parse_preprocessing(preset, input_scale, mean, std), **given)
    targets = {"model": model, "formats": formats, "precisions": precisions}
    report = console.call(export, **targets, out=out, options=options, strict=False, warn=console.warn)
    console.show(report, print_results)
    report.require_all()
    first = shell_word(report.results[0].path)
    console.next(f"edgefm verify {first}", f"edgefm benchmark {first}")
