"""The options of `edgefm export`; their defaults are read from where the gate and the quantizers take them."""

from __future__ import annotations

from typing import get_args

import click

from edge_fm.cli.options import COUNT, PATH, SIZE, TEMPERATURE, Parsed, option_group, source_options
from edge_fm_export.gate.golden_images import GoldenKind
from edge_fm_export.quantization.calibration import DEFAULT_SAMPLES
from edge_fm_export.scores.rejection import MAX_OTHERS, TARGET_ACCURACY
from edge_fm_runtime.artifacts.metadata import EXTRA_OUTPUTS
from edge_fm_runtime.parity.checks import default_limits

_FP32, _FP16, _INT8 = (default_limits("onnx", precision) for precision in ("fp32", "fp16", "int8"))
_OPENVINO = default_limits("openvino", "fp32")


def _power(value: float | None) -> str:
    """A power of ten as a person writes it, such as 1e-4."""
    return f"{value:.0e}".replace("e-0", "e-")


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in EXTRA_OUTPUTS]
    if unknown:
        raise ValueError(f"There is no output {', '.join(map(repr, unknown))}; supported: {', '.join(EXTRA_OUTPUTS)}.")
    return names


_OUTPUTS = Parsed("outputs", _names)

export_options = option_group(
    click.option(
        "--format",
        "formats",
        multiple=True,
        default=("onnx",),
        show_default=True,
        metavar="onnx|openvino|savedmodel|litert|web|tflm|all",
        help="Format; may be repeated.",
    ),
    click.option(
        "--precision",
        "precisions",
        multiple=True,
        metavar="fp32|fp16|int8|w8a16|all",
        help="Precision; may be repeated. w8a16 (8-bit weights, 16-bit activations) is of litert, and no part of all. "
        "Default: fp32; int8 for tflm.",
    ),
    click.option(
        "--calibration",
        metavar="SOURCE",
        help="Images that int8 and w8a16 are calibrated on. Default: the training split of --data.",
    ),
    click.option(
        "--samples",
        type=COUNT,
        help=f"How many images to calibrate on. Default: {DEFAULT_SAMPLES}, or as many as there are.",
    ),
    click.option(
        "--max-drop",
        type=click.FloatRange(0),
        metavar="POINTS",
        help=f"Largest accuracy drop. Default for int8 and w8a16: {_INT8.max_drop_points:g}.",
    ),
    click.option(
        "--min-agreement",
        type=click.FloatRange(0, 1),
        help=f"Least top-1 agreement. Default: {_FP32.min_agreement:g} fp32, {_FP16.min_agreement:g} fp16.",
    ),
    click.option(
        "--max-diff",
        type=click.FloatRange(0),
        help="Largest difference of a probability. "
        f"Default for fp32: {_power(_FP32.max_abs_diff)}, openvino {_power(_OPENVINO.max_abs_diff)}.",
    ),
    click.option(
        "--accuracy-control",
        is_flag=True,
        help="Leave in float what costs too much accuracy, to stay under --max-drop.",
    ),
    click.option(
        "--keep-float",
        multiple=True,
        metavar="LAYER",
        help="Leave this layer in float at int8 (onnx, openvino, litert); may be repeated.",
    ),
    click.option(
        "--explain",
        is_flag=True,
        help="Show what int8 does to each layer, and what leaving the worst in float would bring; also without this "
        "where int8 fails.",
    ),
    click.option(
        "--any-cpu",
        is_flag=True,
        help="int8 for ONNX that predicts the same on CPUs without VNNI: weights of 7 bits.",
    ),
    click.option(
        "--temperature",
        type=TEMPERATURE,
        metavar="X|auto",
        help="Divide the logits by X, in the graph; auto: by what fits the validation images best. "
        "Default: as they are; training has fitted those of a run.",
    ),
    click.option(
        "--validation",
        metavar="SOURCE",
        help="Labelled images that temperature and threshold are fitted on. Default: the validation split of --data, "
        "or of the run.",
    ),
    click.option(
        "--other-things",
        multiple=True,
        type=PATH,
        metavar="DIR|MANIFEST",
        help="Images of what is none of the classes; the threshold of --min-score auto keeps most of them out. May be "
        "repeated. Default: those of the run's recipe that are of the groups of the validation images.",
    ),
    click.option(
        "--target-accuracy",
        type=click.FloatRange(0, 1),
        metavar="SHARE",
        help=f"Of the labels above that threshold, so many are right. Default: {TARGET_ACCURACY:g}.",
    ),
    click.option(
        "--max-others",
        type=click.FloatRange(0, 1),
        metavar="SHARE",
        help=f"At most so many of --other-things are above it. Default: {MAX_OTHERS:g}.",
    ),
    click.option("--data", metavar="SOURCE", help="Labelled images: the evaluation set. Default: the run's own."),
    source_options,
    click.option("--labels", type=PATH, metavar="FILE", help="Label names, one a line, in the order of the output."),
    click.option(
        "--preset",
        metavar="FAMILY",
        help="Scaling of a keras.applications family, such as mobilenet_v2, put into the graph.",
    ),
    click.option("--input-scale", metavar="X|1/X", help="Pixels are multiplied by this, in the graph, such as 1/255."),
    click.option("--mean", metavar="X[,X,X]", help="Then this is subtracted, one value or one for each channel."),
    click.option("--std", metavar="X[,X,X]", help="Then this divides."),
    click.option(
        "--input-size", type=SIZE, metavar="HxW", help="Input size of a model that takes any, or a flat vector."
    ),
    click.option(
        "--photo",
        type=click.Choice(["garment", "fit", "crop", "stretch"]),
        help="How photos become the input. Default: the run's own; stretch for third-party models, as Keras' loaders "
        "do.",
    ),
    click.option("--trust", is_flag=True, help="Load models that carry code (Lambda layers): it will run."),
    click.option("--static-batch", type=COUNT, metavar="N", help="Fix the batch size in the graph."),
    click.option(
        "--board",
        metavar="NAME",
        help="The microcontroller board that a tflm artifact must fit, such as nano-33-ble; its model card lists all.",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Of the choice of calibration images."),
    click.option(
        "--golden",
        type=click.Choice(get_args(GoldenKind)),
        default="data",
        show_default=True,
        help="Images in golden.npz, which travels with the artifact: data, 32 of the evaluation set; generated, drawn "
        "shapes, where these must not be given away.",
    ),
    click.option(
        "--no-drift-reference",
        "drift_reference",
        is_flag=True,
        flag_value=False,
        default=True,
        help="Do not record what edgefm drift compares photos with: numbers of up to 4,000 images of --validation, "
        "else the validation split, else the evaluation set.",
    ),
    click.option(
        "--outputs",
        type=_OUTPUTS,
        metavar="NAME[,NAME]",
        default=(),
        help="Let the model return more than probabilities: embedding, the feature vector that its last layer reads "
        "(for edgefm similar); cam, class activation maps (for edgefm infer --heatmap).",
    ),
    click.option(
        "--web-runtime",
        type=PATH,
        metavar="FILE.tgz",
        help="npm package onnxruntime-web for --format web. Default: $EDGEFM_WEB_RUNTIME, else fetched once into the "
        "cache folder.",
    ),
    click.option("--bom", is_flag=True, help="Add a bill of materials to each artifact: bom.cdx.json (CycloneDX 1.6)."),
    click.option("--out", type=PATH, metavar="DIR", help="Where the artifacts go. Default: export/ in the run."),
    click.option("--force", is_flag=True, help="Replace artifacts that came from another model."),
    click.option(
        "--layout",
        type=click.Choice(["triton", "ovms", "tfserving"]),
        help="Write the artifacts into a model repository, too: of Triton, OpenVINO Model Server or TensorFlow "
        "Serving. Where MODEL is an artifact, write that one, and do nothing else.",
    ),
    click.option(
        "--repository",
        type=PATH,
        metavar="DIR",
        help="The model repository. Default: a folder named as the layout, beside the artifacts.",
    ),
    click.option("--model-name", metavar="NAME", help="Name of the model there. Default: the artifact's."),
    click.option("--model-version", type=COUNT, metavar="N", help="Its version there. Default: the next."),
    click.option(
        "--server-path", metavar="DIR", help="Where the server sees the repository. Default: /models (ovms, tfserving)."
    ),
    click.option("--dry-run", is_flag=True, help="Print what would be built and what is missing here; build nothing."),
)
