"""What rounding weights by a layer's outputs does for OpenVINO int8, with and without NNCF's correction of biases.

    python -m benchmarks.artifacts.openvino_weight_rounding RUN [RUN ...] [--samples N] [--json]

RUN is a run of `edgefm train` or a fold of `edgefm crossval`. Its model is quantized on N images of its training split
in each way, and compared with the float model on the validation split of the same recipe; no test image is looked at.
Divergence is Kullback and Leibler's, from the float model's probabilities, in hundredths of a nat.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

WAYS: dict[str, tuple[bool, Literal["none", "sequential"]]] = {
    "nearest": (False, "none"),
    "nearest, corrected biases": (False, "sequential"),
    "GPTQ": (True, "none"),
    "GPTQ, corrected biases": (True, "sequential"),
}


def divergence(reference: npt.NDArray[np.float32], found: npt.NDArray[np.float32]) -> float:
    """Hundredths of a nat, the mean over images, of probabilities `[N,classes]`."""
    one, other = (np.maximum(part.astype(np.float64), 1e-6) for part in (reference, found))
    return float(100.0 * (one * np.log(one / other)).sum(axis=1).mean())


def measure(run: Path, samples: int) -> list[dict[str, Any]]:
    """The figures of each way to quantize the model of a run, as JSON values."""
    from edge_fm.training.input_pipeline.recipe_data import load_recipe_data, training_and_validation
    from edge_fm.training.recipe.file import load_recipe
    from edge_fm_export.context import BuildContext, EvaluationSet
    from edge_fm_export.openvino.openvino_format import fp32_model
    from edge_fm_export.openvino.openvino_int8 import round_by_outputs
    from edge_fm_export.openvino.quantizer import compile_model, quantize, runner
    from edge_fm_export.openvino.weight_rounding import with_weights
    from edge_fm_export.quantization.steering import predict_all
    from edge_fm_export.sources import load_source
    from edge_fm_runtime.engines.openvino_core import shared_core

    recipe = load_recipe(run / "recipe.toml")
    training, validation = training_and_validation(recipe, load_recipe_data(recipe))
    drawn = np.sort(np.random.default_rng(0).permutation(len(training.labels))[:samples])
    calibration = EvaluationSet("training", np.asarray(training.take(drawn).images[:]), None, "0" * 64)
    images, labels = np.asarray(validation.images[:]), np.asarray(validation.labels)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        context = BuildContext(load_source(run), Path(scratch), calibration)
        source = fp32_model(context)
        reference = predict_all(runner(compile_model(shared_core().read_model(source))), images, None)
        started = perf_counter()
        rounded = round_by_outputs(context, source)
        rounding = perf_counter() - started
        for way, (gptq, correction) in WAYS.items():
            started = perf_counter()
            model = with_weights(shared_core().read_model(source), rounded.values if gptq else {})
            quantized = quantize(context, model, correction=correction)
            found = predict_all(runner(compile_model(quantized)), images, None)
            rows.append(
                {
                    "run": str(run),
                    "way": way,
                    "n": len(images),
                    "divergence": divergence(reference, found),
                    "agreement": float((found.argmax(axis=1) == reference.argmax(axis=1)).mean()),
                    "accuracy_fp32": float((reference.argmax(axis=1) == labels).mean()),
                    "accuracy": float((found.argmax(axis=1) == labels).mean()),
                    "seconds": perf_counter() - started + (rounding if gptq else 0.0),
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="runs whose models are quantized")
    parser.add_argument("--samples", type=int, default=300, help="images that calibrate (default: 300)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    options = parser.parse_args()
    rows = [row for run in options.runs for row in measure(run, options.samples)]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    for run in options.runs:
        mine = [row for row in rows if row["run"] == str(run)]
        print(f"{run}: {mine[0]['n']:,} validation images, float right on {mine[0]['accuracy_fp32']:.1%}")
        for row in mine:
            print(
                f"  {row['way']:26} divergence {row['divergence']:6.3f}  agrees {row['agreement']:6.1%}  "
                f"right {row['accuracy']:6.1%}  {row['seconds']:4.0f} s"
            )


if __name__ == "__main__":
    main()
