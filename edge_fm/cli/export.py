"""`edgefm export`: a run or any `.keras` file becomes proven artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_fm.cli.common import EXPORTS, RUNS, Talk, is_run, output_options, print_json, print_table

if TYPE_CHECKING:
    from edge_fm_export.context import SourceModel
    from edge_fm_export.pipeline import ExportResult


@click.command("export")
@click.argument("model", required=False, type=click.Path(path_type=Path), metavar="[RUN|MODEL.keras]")
@click.option("--format", "formats", multiple=True, default=("onnx",), show_default=True, metavar="onnx|openvino|savedmodel|litert|all", help="Format; may be repeated.")
@click.option("--precision", "precisions", multiple=True, default=("fp32",), show_default=True, metavar="fp32|fp16|int8|all", help="Precision; may be repeated.")
@click.option("--calibration", metavar="SOURCE", help="Images that int8 is calibrated on. Default: the training split of --data.")
@click.option("--samples", type=click.IntRange(1), default=300, show_default=True, help="How many images to calibrate on.")
@click.option("--max-drop", type=click.FloatRange(0), metavar="POINTS", help="Largest accuracy drop of int8. Default: 0.5.")
@click.option("--min-agreement", type=click.FloatRange(0, 1), help="Least top-1 agreement. Default: 0.9999 fp32, 0.999 fp16.")
@click.option("--max-diff", type=click.FloatRange(0), help="Largest difference of a probability. Default for fp32: 1e-4, openvino 1e-3.")
@click.option("--accuracy-control", is_flag=True, help="Leave in float what costs too much accuracy, to stay under --max-drop.")
@click.option("--data", "source", metavar="SOURCE", help="Labelled images that judge the export. Default: the run's own.")
@click.option("--labels", "labels_file", type=click.Path(path_type=Path), metavar="FILE", help="Label names, one a line, in the order of the output.")
@click.option("--preset", metavar="FAMILY", help="Scaling of a keras.applications family, such as mobilenet_v2, put into the graph.")
@click.option("--input-scale", type=float, help="Pixels are multiplied by this, in the graph: 0.00392157 for 0..1.")
@click.option("--mean", metavar="X[,X,X]", help="Then this is subtracted, one value or one for each channel.")
@click.option("--std", metavar="X[,X,X]", help="Then this divides.")
@click.option("--input-size", metavar="HxW", help="Input size of a model that takes any.")
@click.option("--photo", type=click.Choice(["garment", "fit", "crop", "stretch"]), help="How photos become the input. Default: the run's own, else fit.")
@click.option("--trust", is_flag=True, help="Load models that carry code (Lambda layers): it will run.")
@click.option("--static-batch", type=click.IntRange(1), metavar="N", help="Fix the batch size in the graph.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the choice of calibration images.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where the artifacts go. Default: export/ in the run.")
@click.option("--force", is_flag=True, help="Replace artifacts that came from another model.")
@click.option("--dry-run", is_flag=True, help="Say what would be built and what is missing here; build nothing.")
@output_options
def command(**options: Any) -> None:
    """Export to SavedModel, ONNX, OpenVINO IR and LiteRT; ship only what still answers like the original.

    Without an argument the newest run is exported. Each artifact is run on the whole held-out set beside the Keras
    original; one that is out of tolerance is not written, and the exit code is 3.
    """
    raise SystemExit(options)
