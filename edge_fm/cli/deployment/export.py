"""`edgefm export`: a run or any `.keras` file becomes proven artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_fm.cli.console.common import Talk, output_options, print_json, print_table, skip_unreadable_option, word
from edge_fm_runtime.artifacts.metadata import MAX_SIDE

if TYPE_CHECKING:
    from edge_fm.api.export import ExportPlan


@click.command("export")
@click.argument("model", required=False, type=click.Path(path_type=Path), metavar="[RUN|MODEL.keras|NAME]")
@click.option(
    "--format",
    "formats",
    multiple=True,
    default=("onnx",),
    show_default=True,
    metavar="onnx|openvino|savedmodel|litert|all",
    help="Format; may be repeated.",
)
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    default=("fp32",),
    show_default=True,
    metavar="fp32|fp16|int8|all",
    help="Precision; may be repeated.",
)
@click.option(
    "--calibration", metavar="SOURCE", help="Images that int8 is calibrated on. Default: the training split of --data."
)
@click.option(
    "--samples", type=click.IntRange(1), help="How many images to calibrate on. Default: 300, or as many as there are."
)
@click.option(
    "--max-drop", type=click.FloatRange(0), metavar="POINTS", help="Largest accuracy drop. Default for int8: 0.5."
)
@click.option(
    "--min-agreement", type=click.FloatRange(0, 1), help="Least top-1 agreement. Default: 0.9999 fp32, 0.999 fp16."
)
@click.option(
    "--max-diff",
    type=click.FloatRange(0),
    help="Largest difference of a probability. Default for fp32: 1e-4, openvino 1e-3.",
)
@click.option(
    "--accuracy-control", is_flag=True, help="Leave in float what costs too much accuracy, to stay under --max-drop."
)
@click.option(
    "--any-cpu", is_flag=True, help="int8 for ONNX that answers the same on CPUs without VNNI: weights of 7 bits."
)
@click.option("--data", metavar="SOURCE", help="Labelled images that judge the export. Default: the run's own.")
@skip_unreadable_option
@click.option(
    "--labels",
    "labels_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Label names, one a line, in the order of the output.",
)
@click.option(
    "--preset",
    metavar="FAMILY",
    help="Scaling of a keras.applications family, such as mobilenet_v2, put into the graph.",
)
@click.option("--input-scale", metavar="X|1/X", help="Pixels are multiplied by this, in the graph, such as 1/255.")
@click.option("--mean", metavar="X[,X,X]", help="Then this is subtracted, one value or one for each channel.")
@click.option("--std", metavar="X[,X,X]", help="Then this divides.")
@click.option("--input-size", metavar="HxW", help="Input size of a model that takes any, or a flat vector.")
@click.option(
    "--photo",
    type=click.Choice(["garment", "fit", "crop", "stretch"]),
    help="How photos become the input. Default: the run's own; stretch for models of your own, as Keras' loaders do.",
)
@click.option("--trust", is_flag=True, help="Load models that carry code (Lambda layers): it will run.")
@click.option("--static-batch", type=click.IntRange(1), metavar="N", help="Fix the batch size in the graph.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the choice of calibration images.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Where the artifacts go. Default: export/ in the run."
)
@click.option("--force", is_flag=True, help="Replace artifacts that came from another model.")
@click.option("--dry-run", is_flag=True, help="Say what would be built and what is missing here; build nothing.")
@output_options
def command(
    model: Path | None,
    formats: tuple[str, ...],
    precisions: tuple[str, ...],
    labels_file: Path | None,
    preset: str | None,
    input_scale: str | None,
    mean: str | None,
    std: str | None,
    input_size: str | None,
    out: Path | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Export to SavedModel, ONNX, OpenVINO IR and LiteRT; ship only what still answers like the original.

    Without an argument the newest run is exported. Each artifact is run on the whole held-out set beside the Keras
    original; one that is out of tolerance is not written, and the exit code is 3. Agreement and accuracy drop are
    judged by what so many images can show: an artifact fails where its whole 95% interval is out of tolerance, and gets
    a warning where its estimate is. NAME is a trained model of the package, such as edgenet-n.
    """
    talk = Talk(quiet)
    from edge_fm.api.export import ExportOptions, export, plan_export
    from edge_fm.cli.console.export_table import print_results
    from edge_fm_export.third_party_models.pixel_scaling import parse_preprocessing

    if dry_run:
        _print_plan(plan_export(model, formats, precisions), as_json)
        return
    options = ExportOptions(
        **given,
        labels=labels_file,
        preprocessing=parse_preprocessing(preset, input_scale, mean, std),
        input_size=_size(input_size),
    )
    with talk.progress() as progress:
        report = export(
            model,
            formats,
            precisions,
            out=out,
            options=options,
            strict=False,
            progress=progress,
            note=talk.note,
            warn=talk.warn,
        )
    if as_json:
        print_json(report.to_json())
    else:
        print_results(report)
    report.require_all()
    first = report.results[0].path
    talk.next(f"edgefm verify {word(first)}", f"edgefm benchmark {word(first)}")


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    height, _, width = text.lower().partition("x")
    sides = [
        int(side) if side.isascii() and side.isdigit() and len(side) < 10 else 0 for side in (height, width or height)
    ]
    if not all(1 <= side <= MAX_SIDE for side in sides):
        raise click.BadParameter(
            f"{text!r} is not HEIGHTxWIDTH, such as 224x224, of at most {MAX_SIDE} pixels each.",
            param_hint="--input-size",
        )
    return sides[0], sides[1]


def _print_plan(plan: ExportPlan, as_json: bool) -> None:
    if as_json:
        print_json(plan.to_json())
        return
    rows = [[p.folder, p.target.format, p.target.precision, ", ".join(p.missing) or "nothing"] for p in plan.targets]
    print_table("Would be built", ["artifact", "format", "precision", "missing here"], rows, wraps=["missing here"])
