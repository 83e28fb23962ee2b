"""LiteRT int8 by TensorFlow's converter and by ai-edge-quantizer, side by side.

    python -m benchmarks.artifacts.litert_quantizers MODEL[=DATA] [MODEL[=DATA] ...] [--samples N] [--rounds N] [--json]
    python -m benchmarks.artifacts.litert_quantizers --layers [--json]

MODEL is a run, a Keras file or the name of a trained model of the package; DATA is what it is evaluated on, by default
the run's own data. All are calibrated on the same images of the training split, and run by the engine's library on the
whole evaluation set:

- tensorflow: `tf.lite.TFLiteConverter`, full integer, with the scaling of pixels folded into the input;
- tensorflow, corrected: the same with bias correction;
- ai-edge-quantizer: its recipe static_wi8_ai8 on the ranges of all calibration images, and the same folding;
- ai-edge-quantizer, corrected: the same with bias correction;
- ai-edge-quantizer, own ranges: its own calibrator, a moving average of each image's range;
- w8a16: its recipe static_wi8_ai16 on the ranges of all calibration images, with the biases that `edgefm export` gives;
- w8a16, corrected: the same with bias correction.

"floats" counts operators that compute in float. Latency is the median of one image on one thread, all models in turns
in each round; ratios are to the first row. `--layers` quantizes a small model of each kind of layer instead, and prints
which operators each library leaves in float, or why it makes no model.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import statistics
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, perf_counter_ns
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.errors import EdgeFMError

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
_BATCH = 50


def variants(context: Any) -> dict[str, Callable[[], bytes]]:
    """Name -> a function that makes the model; see the module."""
    from edge_fm_export.litert.bias_correction import correct_biases
    from edge_fm_export.litert.converter_process import convert
    from edge_fm_export.litert.fast_biases import shorten_biases
    from edge_fm_export.litert.input_scaling import fold_input_scaling
    from edge_fm_export.litert.litert_format import CORRECTION_IMAGES
    from edge_fm_export.litert.static_quantizer import activation_ranges, quantize_static
    from edge_fm_export.quantization.calibration import batches

    images = context.calibration.images
    original = convert(context, "fp32")

    def corrected(model: bytes) -> bytes:
        return correct_biases(model, original, batches(images[:CORRECTION_IMAGES], static=None, size=8))

    def ranges() -> Any:
        return activation_ranges(original, batches(images, static=None, size=1), count=len(images))

    def by_converter() -> bytes:
        return convert(context, "int8")

    def by_quantizer() -> bytes:
        return quantize_static(original, ranges(), activation_bits=8)

    def by_sixteen_bits() -> bytes:
        return quantize_static(original, ranges(), activation_bits=16)

    return {
        "tensorflow": lambda: fold_input_scaling(by_converter()),
        "tensorflow, corrected": lambda: fold_input_scaling(corrected(by_converter())),
        "ai-edge-quantizer": lambda: fold_input_scaling(by_quantizer()),
        "ai-edge-quantizer, corrected": lambda: fold_input_scaling(corrected(by_quantizer())),
        "ai-edge-quantizer, own ranges": lambda: fold_input_scaling(
            quantize_static(original, own_ranges(original, images), activation_bits=8)
        ),
        "w8a16": lambda: shorten_biases(by_sixteen_bits()),
        "w8a16, corrected": lambda: shorten_biases(corrected(by_sixteen_bits())),
    }


def own_ranges(model: bytes, images: Images) -> Any:
    """The ranges that ai-edge-quantizer's own calibrator finds, image after image."""
    from ai_edge_quantizer import quantizer, recipe

    data = {"serving_default": [{"image": image[np.newaxis]} for image in images]}
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():  # its progress bar
        warnings.filterwarnings("ignore", message="Warning: Enabling `experimental_preserve_all_tensors`")
        return quantizer.Quantizer(bytearray(model), recipe.static_wi8_ai8()).calibrate(data, num_threads=1)


class Runner:
    """A model in LiteRT, on one thread."""

    def __init__(self, model: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_content=model, num_threads=1)
        self._given = self._interpreter.get_input_details()[0]["index"]
        self._result = self._interpreter.get_output_details()[0]["index"]
        self._shape: tuple[int, ...] = ()

    def run(self, batch: Images) -> Floats:
        """Probabilities `[N,classes]`."""
        if batch.shape != self._shape:
            self._interpreter.resize_tensor_input(self._given, batch.shape)
            self._interpreter.allocate_tensors()
            self._shape = batch.shape
        self._interpreter.set_tensor(self._given, batch)
        self._interpreter.invoke()
        found: Floats = self._interpreter.get_tensor(self._result)
        return found

    def predict(self, images: Images) -> Floats:
        """Probabilities of all images."""
        return np.concatenate([self.run(images[i : i + _BATCH]) for i in range(0, len(images), _BATCH)])


def latencies(runners: dict[str, Runner], images: Images, rounds: int) -> dict[str, float]:
    """Median milliseconds of one image, all models in turns."""
    times: dict[str, list[int]] = {name: [] for name in runners}
    for runner in runners.values():
        runner.run(images[:1])
    names = list(runners)
    gc.disable()
    try:
        for number in range(rounds):
            image = images[number % len(images)][np.newaxis]
            for place in range(len(names)):  # each is first as often as the others: the first finds the caches cold
                name = names[(number + place) % len(names)]
                started = perf_counter_ns()
                runners[name].run(image)
                times[name].append(perf_counter_ns() - started)
    finally:
        gc.enable()
    return {name: statistics.median(values) / 1e6 for name, values in times.items()}


def compare(model: str, data: str | None, samples: int | None, rounds: int) -> list[dict[str, Any]]:
    """One row for each way to quantize `model`."""
    from edge_fm.api.common.calibration import calibration_sets
    from edge_fm.api.common.original import evaluation_data
    from edge_fm.models.records import trained_model
    from edge_fm_export.context import BuildContext
    from edge_fm_export.litert.kept_float import float_operators
    from edge_fm_export.sources import load_source
    from edge_fm_runtime.parity.comparison import compare_probabilities

    source = load_source(trained_model(model))
    sets = evaluation_data(data, source)
    selected = calibration_sets(None, sets, source, samples=samples, hold_out=False, seed=0, precisions=("int8",))
    images, labels = np.asarray(sets.test.images), sets.test.labels
    predict = source.model.predict_on_batch
    before = np.concatenate([np.asarray(predict(images[i : i + _BATCH])) for i in range(0, len(images), _BATCH)])
    rows: list[dict[str, Any]] = []
    runners: dict[str, Runner] = {}
    with tempfile.TemporaryDirectory() as folder:
        context = BuildContext(source, Path(folder), selected.calibration)
        for name, make in variants(context).items():
            started = perf_counter()
            content = make()
            seconds = perf_counter() - started
            runners[name] = Runner(content)
            found = runners[name].predict(images)
            parity = compare_probabilities(before, found, labels=labels, label_names=source.labels)
            rows.append(
                {
                    "model": source.name,
                    "quantizer": name,
                    "n": parity.n,
                    "accuracy_keras": parity.accuracy_reference,
                    "accuracy": parity.accuracy,
                    "drop_points": parity.drop_points,
                    "drop_ci95": parity.drop_ci95,
                    "agreement": parity.top1_agreement,
                    "mean_abs_diff": parity.mean_abs_diff,
                    "bytes": len(content),
                    "float_operators": len(float_operators(content)),
                    "seconds": seconds,
                }
            )
    times = latencies(runners, images, rounds)
    for row in rows:
        row["p50_ms"] = times[row["quantizer"]]
        row["p50_ratio"] = times[row["quantizer"]] / times[rows[0]["quantizer"]]
    return rows


def layers() -> list[dict[str, Any]]:
    """One row for each kind of layer: what each library leaves in float, or why it makes no model."""
    from benchmarks.artifacts.litert_layers import LAYERS, small_model
    from edge_fm_export.context import BuildContext, EvaluationSet
    from edge_fm_export.litert.converter_process import convert
    from edge_fm_export.litert.kept_float import float_operators
    from edge_fm_export.litert.static_quantizer import activation_ranges, quantize_static
    from edge_fm_export.sources import load_source

    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1), np.uint8)

    def left(make: Callable[[], bytes]) -> str:
        try:
            content = make()
            Runner(content).run(images[:1])
        except (EdgeFMError, RuntimeError, ValueError) as error:
            return f"no model: {str(error).splitlines()[0][:90]}"
        return ", ".join(dict.fromkeys(kind for kind, _ in float_operators(content))) or "-"

    rows = []
    for name in LAYERS:
        with tempfile.TemporaryDirectory() as folder:
            small_model(name).save(Path(folder) / "model.keras")
            source = load_source(Path(folder) / "model.keras")
            context = BuildContext(source, Path(folder), EvaluationSet("noise", images, None, "0" * 64))
            original = convert(context, "fp32")
            ranges = activation_ranges(original, iter(np.split(images, len(images))), count=len(images))
            ways: dict[str, Callable[[], bytes]] = {
                "tensorflow int8": lambda: convert(context, "int8"),  # noqa: B023 - called at once
                "ai-edge-quantizer int8": lambda: quantize_static(original, ranges, activation_bits=8),  # noqa: B023
                "w8a16": lambda: quantize_static(original, ranges, activation_bits=16),  # noqa: B023
            }
            rows.append({"layer": name, **{way: left(make) for way, make in ways.items()}})
    return rows


def print_table(rows: list[dict[str, Any]]) -> None:
    """For a person: rows whose values are texts."""
    names = list(rows[0])
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in names}
    for row in ({name: name for name in names}, *rows):
        print(" | ".join(row[name].ljust(widths[name]) for name in names).rstrip(), flush=True)


def as_text(row: dict[str, Any]) -> dict[str, str]:
    """A row of `compare` for a person."""
    low, high = row["drop_ci95"]
    return {
        "quantizer": row["quantizer"],
        "accuracy %": f"{100 * row['accuracy']:.2f}",
        "drop": f"{row['drop_points']:+.2f}",
        "95% interval": f"{low:+.2f} to {high:+.2f}",
        "agreement %": f"{100 * row['agreement']:.2f}",
        "mean diff": f"{row['mean_abs_diff']:.5f}",
        "bytes": f"{row['bytes']:,}",
        "floats": str(row["float_operators"]),
        "ms": f"{row['p50_ms']:.3f}",
        "ratio": f"{row['p50_ratio']:.2f}",
        "made in s": f"{row['seconds']:.1f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL[=DATA]", help="a trained model of the package, run or file")
    parser.add_argument("--samples", type=int, help="images to calibrate on; default: 300, or as many as there are")
    parser.add_argument("--rounds", type=int, default=200, help="rounds of the latency; default: 200")
    parser.add_argument("--layers", action="store_true", help="compare small models of one kind of layer each")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    options = parser.parse_args()
    if not options.models and not options.layers:
        parser.error("name at least one MODEL, or give --layers")
    found: list[dict[str, Any]] = []
    for text in options.models:
        model, _, data = text.partition("=")
        rows = compare(model, data or None, options.samples, options.rounds)
        found += rows
        if not options.json:
            accuracy, count = rows[0]["accuracy_keras"], rows[0]["n"]
            print(f"\n{rows[0]['model']}: Keras is right on {100 * accuracy:.2f}% of {count:,} images")
            print_table([as_text(row) for row in rows])
    if options.layers:
        rows = layers()
        found += rows
        if not options.json:
            print_table(rows)
    if options.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
