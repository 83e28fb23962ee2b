"""What rounding weights by a layer's outputs does for ONNX and OpenVINO int8, with and without corrected biases.

    python -m benchmarks.artifacts.weight_rounding RUN [RUN ...] [--format onnx,openvino] [--samples N] [--json]

RUN is a run of `edgefm train` or a fold of `edgefm crossval`. Its model is quantized on N images of its training split
in each way, and compared with the float model on the validation split of the same recipe; no test image is looked at.
Divergence is Kullback and Leibler's, from the float model's probabilities, in hundredths of a nat.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

WAYS = {
    "nearest": (False, False),
    "nearest, corrected biases": (False, True),
    "GPTQ": (True, False),
    "GPTQ, corrected biases": (True, True),
}
"""Each way to quantize: whether weights are rounded by the outputs, and whether biases are corrected."""
Floats = npt.NDArray[np.float32]
Predict = Callable[[npt.NDArray[np.uint8]], Floats]


def divergence(reference: Floats, found: Floats) -> float:
    """Hundredths of a nat, the mean over images, of probabilities `[N,classes]`."""
    one, other = (np.maximum(part.astype(np.float64), 1e-6) for part in (reference, found))
    return float(100.0 * (one * np.log(one / other)).sum(axis=1).mean())


def onnx_models(context: Any) -> tuple[Predict, Callable[[bool, bool], Predict]]:
    """The float model, and what quantizes it: weights by the outputs or not, biases corrected or not."""
    import onnx

    from edge_fm_export.onnx.corrections.bias_correction import add_zero_biases
    from edge_fm_export.onnx.corrections.weight_rounding import OutputRounding
    from edge_fm_export.onnx.int8_quantizer import predictor, prepare, quantize_file
    from edge_fm_export.onnx.onnx_format import fp32_model
    from edge_fm_export.quantization.calibration import batches
    from edge_fm_export.quantization.cpu import integer_settings

    prepared = prepare(fp32_model(context), context.scratch / "prepared.onnx")
    model = onnx.load(prepared)
    add_zero_biases(model)
    onnx.save(model, prepared)
    images = context.calibration.images

    def make(gptq: bool, corrected: bool) -> Predict:
        target = context.scratch / "int8.onnx"
        rounding = OutputRounding(model, lambda: batches(images, static=None, size=8), len(images), 0)
        quantize_file(
            prepared,
            target,
            batches(images, static=None),
            settings=integer_settings(),
            rounding=rounding if gptq else None,
            correction=(lambda: batches(images[:128], static=None, size=8)) if corrected else None,
        )
        return predictor(target)

    return predictor(prepared), make


def openvino_models(context: Any) -> tuple[Predict, Callable[[bool, bool], Predict]]:
    """As `onnx_models`."""
    from edge_fm_export.openvino.openvino_format import fp32_model
    from edge_fm_export.openvino.openvino_int8 import round_by_outputs
    from edge_fm_export.openvino.quantizer import compile_model, quantize, runner
    from edge_fm_export.openvino.weight_rounding import with_weights
    from edge_fm_runtime.engines.openvino_core import shared_core

    source = fp32_model(context)

    def make(gptq: bool, corrected: bool) -> Predict:
        weights = round_by_outputs(context, source).values if gptq else {}
        model = with_weights(shared_core().read_model(source), weights)
        quantized = quantize(context, model, correction="sequential" if corrected else "none")
        predict: Predict = runner(compile_model(quantized))
        return predict

    predict: Predict = runner(compile_model(shared_core().read_model(source)))
    return predict, make


FORMATS = {"onnx": onnx_models, "openvino": openvino_models}


def measure(run: Path, format_: str, samples: int) -> list[dict[str, Any]]:
    """The figures of each way to quantize the model of a run, as JSON values."""
    from edge_fm.training.input_pipeline.recipe_data import load_recipe_data, training_and_validation
    from edge_fm.training.recipe.file import load_recipe
    from edge_fm_export.context import BuildContext, EvaluationSet
    from edge_fm_export.quantization.steering import predict_all
    from edge_fm_export.sources import load_source

    recipe = load_recipe(run / "recipe.toml")
    training, validation = training_and_validation(recipe, load_recipe_data(recipe))
    drawn = np.sort(np.random.default_rng(0).permutation(len(training.labels))[:samples])
    calibration = EvaluationSet("training", np.asarray(training.take(drawn).images[:]), None, "0" * 64)
    images, labels = np.asarray(validation.images[:]), np.asarray(validation.labels)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        original, make = FORMATS[format_](BuildContext(load_source(run), Path(scratch), calibration))
        reference = predict_all(original, images, None)
        for way, (gptq, corrected) in WAYS.items():
            started = perf_counter()
            quantized = make(gptq, corrected)
            seconds = perf_counter() - started
            found = predict_all(quantized, images, None)
            rows.append(
                {
                    "run": str(run),
                    "format": format_,
                    "way": way,
                    "n": len(images),
                    "divergence": divergence(reference, found),
                    "agreement": float((found.argmax(axis=1) == reference.argmax(axis=1)).mean()),
                    "accuracy_fp32": float((reference.argmax(axis=1) == labels).mean()),
                    "accuracy": float((found.argmax(axis=1) == labels).mean()),
                    "seconds": seconds,
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="runs whose models are quantized")
    parser.add_argument("--format", default=",".join(FORMATS), help="comma-separated (default: onnx,openvino)")
    parser.add_argument("--samples", type=int, default=300, help="images that calibrate (default: 300)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    options = parser.parse_args()
    formats = options.format.split(",")
    if unknown := set(formats).difference(FORMATS):
        parser.error(f"--format {','.join(sorted(unknown))}: there are {', '.join(FORMATS)}.")
    rows = [row for run in options.runs for name in formats for row in measure(run, name, options.samples)]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    for first in rows[:: len(WAYS)]:
        mine = [row for row in rows if (row["run"], row["format"]) == (first["run"], first["format"])]
        print(
            f"{first['run']}, {first['format']}: {first['n']:,} validation images, float right on "
            f"{first['accuracy_fp32']:.1%}"
        )
        for row in mine:
            print(
                f"  {row['way']:26} divergence {row['divergence']:6.3f}  agrees {row['agreement']:6.1%}  "
                f"right {row['accuracy']:6.1%}  {row['seconds']:4.0f} s"
            )


if __name__ == "__main__":
    main()
