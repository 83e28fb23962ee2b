"""`edgefm export`: a run or any `.keras` file becomes proven artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from edge_fm.cli.console.artifact_tables import print_plan
from edge_fm.cli.console.console import Console, print_line, shell_word
from edge_fm.cli.console.export_table import print_results
from edge_fm.cli.deployment.export_options import export_options
from edge_fm.cli.options import PATH, console_options

if TYPE_CHECKING:
    from edge_fm_export.model_repositories.layouts import Layout
    from edge_fm_export.targets import Target

_SERVERS = {
    "triton": "http://localhost:8000",
    "ovms": "http://localhost:8000",
    "tfserving": "http://localhost:8501 --server-api tfserving",
}
"""Where the servers listen, as the documentation starts them."""
_OF_REPOSITORIES = ("repository", "model_name", "model_version", "server_path")


_FORMATS = ("onnx", "openvino", "litert")
_PRECISIONS = ("int8", "fp16", "fp32")


def _order(target: Target) -> tuple[int, int]:
    """The next command names what goes onto most devices: ONNX before others, the fewest bits first."""
    ranks = ((target.format, _FORMATS), (target.precision, _PRECISIONS))
    first, second = (names.index(name) if name in names else len(names) for name, names in ranks)
    return first, second


@click.command("export")
@click.argument("model", required=False, type=PATH, metavar="[RUN|MODEL.keras|NAME|ARTIFACT]")
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
    layout: Layout | None,
    **given: Any,
) -> None:
    """Export to SavedModel, ONNX, OpenVINO IR, LiteRT, TFLM and a web page; write only what predicts like the original.

    Without an argument the newest run is exported. Each artifact is run on the whole evaluation set beside the Keras
    original; one that is out of tolerance is not written, and the exit code is 3. Agreement and accuracy drop are
    checked against what so many images can show: an artifact fails where its whole 95% interval is out of tolerance,
    and gets a warning where its estimate is. NAME is a trained model of the package, such as edgenet-n. An ONNX
    ARTIFACT can be exported to web, at its own precision.

    With --layout, artifacts are written into the model repository of another server, too; an artifact in place of a
    model is written there alone.
    """
    from edge_fm.api.artifacts.model_repository import is_artifact, require_layout
    from edge_fm.api.common.export_options import ExportOptions
    from edge_fm.api.export import export, plan_export
    from edge_fm_export.third_party_models.pixel_scaling import parse_preprocessing

    repository = {name: given.pop(name) for name in _OF_REPOSITORIES}
    if layout is None and any(value is not None for value in repository.values()):
        raise click.UsageError("A model repository goes with --layout triton, ovms or tfserving.")
    if layout is not None and model is not None and is_artifact(model):
        _refuse_export_options()
        _write(console, [model], layout, repository)
        return
    options = ExportOptions(preprocessing=parse_preprocessing(preset, input_scale, mean, std), **given)
    if layout is not None:
        require_layout(layout, formats, repository["model_name"], precisions or None)
    if dry_run:
        plan = plan_export(model, formats, precisions or None, options=options, note=console.note)
        console.show(plan, print_plan)
        return
    targets = {"model": model, "formats": formats, "precisions": precisions or None}
    report = console.call(export, **targets, out=out, options=options, strict=False, warn=console.warn)
    console.show(report, print_results)
    if layout is not None:
        _write(console, [result.path for result in report.results], layout, repository, shown=True)
    report.require_all()
    shown = shell_word(min(report.results, key=lambda result: _order(result.target)).path)
    console.next(f"edgefm verify {shown}", f"edgefm benchmark {shown}")


def _refuse_export_options() -> None:
    """An artifact is written as it is: what would change it is refused."""
    context = click.get_current_context()
    kept = {"model", "layout", *_OF_REPOSITORIES, "as_json", "quiet"}
    for parameter in context.command.params:
        name = str(parameter.name)
        if name not in kept and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{parameter.opts[-1]} is for a model; an artifact is written into the repository as it is."
            )


def _write(
    console: Console, artifacts: list[Path], layout: Layout, repository: Mapping[str, Any], *, shown: bool = False
) -> None:
    """Write artifacts into the repository, and say what was written, on stderr where a table was shown before."""
    from edge_fm.api.artifacts.model_repository import write_model_repository

    for artifact in artifacts:
        made = write_model_repository(artifact, layout, **repository)
        text = f"Written for {layout}: {made.model} version {made.version} in {made.repository}"
        text += f"; kept as they were: {', '.join(made.kept)}" if made.kept else ""
        if shown:
            console.note(text)
        else:
            console.show(made, lambda _, text=text: print_line(text))
        console.next(
            f"edgefm verify {shell_word(artifact)} --server {_SERVERS[layout]} --model-name {shell_word(made.model)}"
        )
