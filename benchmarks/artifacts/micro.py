"""A model for microcontrollers beside its original and beside LiteRT's int8: agreement, drop, arena, flash, C++ build.

    python -m benchmarks.artifacts.micro FOLDER [--model edgenet-n|RUN|MODEL.keras]
        [--data fashion-mnist|SOURCE] [--json]

FOLDER gets the artifacts `litert int8` and `tflm int8` of the model. Both are run on the whole test split. TFLM runs in
its own interpreter; LiteRT runs twice: by its reference kernels, which round as TFLM's do, and as the engine `litert`
runs it, by XNNPACK, which rounds otherwise. The generated C++ is compiled with the stand-in headers of the tests
(tests/support/environment/tflm_headers), which hand the C array to TFLM's interpreter of the Python package; with
--tflm-dir DIR it is compiled with TFLM's sources.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[2]
HEADERS = ROOT / "tests/support/environment/tflm_headers"
_BATCH = 100


def reference_kernels(model: Path, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Probabilities `[N,classes]` of a LiteRT file by LiteRT's reference kernels."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    runner = Interpreter(str(model), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    given, result = runner.get_input_details()[0]["index"], runner.get_output_details()[0]["index"]
    found = []
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH]
        runner.resize_tensor_input(given, batch.shape)
        runner.allocate_tensors()
        runner.set_tensor(given, batch)
        runner.invoke()
        found.append(runner.get_tensor(result))
    return np.concatenate(found)


def engine_predictions(artifact: Path, images: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], float]:
    """Probabilities by the artifact's own engine, and milliseconds an image."""
    from edge_fm_runtime.artifacts.artifact import load_artifact
    from edge_fm_runtime.engines import create_engine

    engine = create_engine(load_artifact(artifact))
    started = perf_counter()
    found = engine.predict_all(images, batch=None if engine.fixed_batch == 1 else _BATCH)
    seconds = perf_counter() - started
    engine.close()
    return found, 1000 * seconds / len(images)


def build_and_run(artifact: Path, tflm: Path) -> str:
    """The last line that the generated program prints, built by its own CMake file."""
    with tempfile.TemporaryDirectory() as folder:
        for command in (
            ["cmake", "-S", str(artifact), "-B", folder, f"-DTFLM_DIR={tflm}"],
            ["cmake", "--build", folder, "--parallel", "2"],
        ):
            subprocess.run(command, check=True, capture_output=True)
        child = shlex.join([sys.executable, str(ROOT / "tests/support/environment/tflm_child.py")])
        size = str((artifact / "model.tflite").stat().st_size)
        environment = {"EDGEFM_TFLM_CHILD": child, "EDGEFM_TFLM_MODEL_BYTES": size, "PYTHONPATH": ":".join(sys.path)}
        done = subprocess.run(
            [f"{folder}/classify"], env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
    return done.stdout.splitlines()[-1] if done.stdout else f"exit code {done.returncode}"


def figures(folder: Path, model: str, data: str, tflm: Path) -> dict[str, Any]:
    """Export, run and compare; see the module."""
    from edge_fm.api.common.export_options import ExportOptions
    from edge_fm.api.export import export
    from edge_fm.data import load_dataset

    report = export(model, ("litert", "tflm"), ("int8",), out=folder, options=ExportOptions(data=data, force=True))
    places = {result.target.format: result for result in report.results}
    litert, micro = places["litert"], places["tflm"]
    test = load_dataset(data, shape=micro.metadata.input.shape).test
    images, labels = np.asarray(test.images), test.labels
    ours, ours_ms = engine_predictions(micro.path, images)
    xnnpack, _ = engine_predictions(litert.path, images)
    reference = reference_kernels(litert.path / "model.tflite", images)

    def agreement(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
        return float((one.argmax(axis=1) == other.argmax(axis=1)).mean())

    budget = micro.budget or {}
    return {
        "model": model,
        "images": len(images),
        "accuracy_fp32": float((report.reference.argmax(axis=1) == labels).mean()),
        "accuracy_tflm": float((ours.argmax(axis=1) == labels).mean()),
        "drop_points": micro.parity.drop_points,
        "agreement_litert_reference_kernels": agreement(ours, reference),
        "agreement_litert_xnnpack": agreement(ours, xnnpack),
        "agreement_of_litert_kernels": agreement(reference, xnnpack),
        "model_bytes": budget["model_bytes"],
        "litert_bytes": litert.bytes,
        "arena_bytes": budget["arena_bytes"],
        "macs": budget["macs"],
        "ms_an_image_here": ours_ms,
        "boards": [row["board"] for row in budget["boards"] if row["fits"]],
        "headers": "stand-in" if tflm == HEADERS else str(tflm),
        "program": build_and_run(micro.path, tflm),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="edgenet-n")
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--tflm-dir", type=Path, default=HEADERS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = figures(options.folder, options.model, options.data, options.tflm_dir.resolve())
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        print(f"{name:<36} {value}")


if __name__ == "__main__":
    main()
