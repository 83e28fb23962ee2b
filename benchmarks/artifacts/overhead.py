"""What `Classifier.predict_pixels` adds to the library below it at batch 1: ratios of medians, interleaved in one run.

    python benchmarks/artifacts/overhead.py ARTIFACT... [--duration 2] [--json]

ONNX artifacts: beside `session.run` of a session with the same options. OpenVINO IR: beside `infer` of a reused request
of a model compiled with the same options.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edge_fm_runtime import Classifier
from edge_fm_runtime.measurement.latency import measure
from edge_fm_runtime.system.machine import describe_machine, usable_cpus


def bare_onnxruntime(payload: Path, pixels: np.ndarray) -> Callable[[], object]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = usable_cpus()
    session = ort.InferenceSession(str(payload), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: pixels})[0]


def bare_openvino(payload: Path, pixels: np.ndarray) -> Callable[[], object]:
    import openvino as ov

    core = ov.Core()
    model = core.read_model(payload)
    model.reshape(list(pixels.shape))
    config = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": usable_cpus(),
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = core.compile_model(model, "CPU", config).create_infer_request()
    return lambda: request.infer([pixels])[0]


BARE = {"onnx": bare_onnxruntime, "openvino": bare_openvino}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifacts", nargs="+", type=Path)
    parser.add_argument("--duration", type=float, default=2.0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = []
    for path in given.artifacts:
        with Classifier.load(path) as classifier:
            metadata = classifier.artifact.metadata
            pixels = np.random.default_rng(0).integers(0, 256, (1, *metadata.input.shape), dtype=np.uint8)
            bare = BARE[metadata.format](classifier.artifact.payload, pixels)
            ours = lambda classifier=classifier, pixels=pixels: classifier.predict_pixels(pixels)  # noqa: E731
            got = measure({"edgefm": ours, "bare": bare}, duration_s=given.duration)
        ratio = got["edgefm"].p50_ms / got["bare"].p50_ms
        rows.append(
            {
                "artifact": str(path),
                "engine": classifier.engine.name,
                "edgefm_p50_ms": got["edgefm"].p50_ms,
                "bare_p50_ms": got["bare"].p50_ms,
                "ratio": ratio,
            }
        )
        if not given.json:
            print(
                f"{path.name:36} {got['edgefm'].p50_ms:8.4f} ms  bare {got['bare'].p50_ms:8.4f} ms  ratio {ratio:.3f}"
            )
    if given.json:
        print(json.dumps({"machine": describe_machine(), "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
