"""Where the time goes: the stages from a photo's file to its class, and the operators that the library reports."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.measurement.latency import measure
from edge_fm_runtime.progress import ProgressFn, silent
from edge_fm_runtime.system.scratch import scratch_folder

if TYPE_CHECKING:
    from edge_fm.evaluation.benchmark.cases import Case
    from edge_fm_runtime.artifacts.artifact import Artifact

_RUNS = 100
_WARM_UP_RUNS = 20
_STAGE_S = 0.3


@dataclass(frozen=True)
class Stage:
    """One stage on the way of a photo.

    Attributes:
        stage: "decode", "canvas", "inference" or "post".
        p50_ms: median milliseconds.
        what: what it does.
    """

    stage: str
    p50_ms: float
    what: str


@dataclass(frozen=True)
class Operator:
    """One operator of the graph as it really runs, fused as the library fused it.

    Attributes:
        name: of the node.
        type: such as "Conv".
        kernel: that computes it, as the library calls it; "" where it gives none.
        p50_us: median microseconds of a call.
        share: of the sum of all operators' medians.
    """

    name: str
    type: str
    kernel: str
    p50_us: float
    share: float


def profile_cases(cases: Sequence[Case], photo: Path | None, *, progress: ProgressFn = silent) -> list[dict[str, Any]]:
    """Profile every artifact among `cases`.

    Args:
        cases: of one benchmark.
        photo: to split into stages; None leaves the stages out.
        progress: called as work goes on.

    Returns:
        for each artifact: model, engine, batch, stages in their order, operators slowest first, `source`, the
        library's own account, and `note`, why there are none.
    """
    selected = [case for case in cases if case.kind == "artifact"]
    found = []
    for done, case in enumerate(selected):
        progress("profiling", done, len(selected))
        artifact = load_artifact(case.path)
        reporter = _REPORTERS.get(case.engine.name)
        stages = [] if photo is None or case.classify_photo is None else _stages(case, artifact, photo)
        found.append(
            {
                "model": case.model,
                "engine": case.engine.name,
                "batch": case.fixed_batch or 1,
                "stages": [asdict(stage) for stage in stages],
                "operators": [asdict(op) for op in (reporter[1](case, artifact) if reporter else [])],
                "source": reporter[0] if reporter else None,
                "note": None if reporter else f"the {case.engine.name} engine's library reports no times of operators",
            }
        )
    progress("profiling", len(selected), len(selected))
    return found


def _stages(case: Case, artifact: Artifact, photo: Path) -> list[Stage]:
    """Medians of each stage, all stages interleaved."""
    from edge_fm_runtime.classifier import Classifier
    from edge_fm_runtime.photos.photo import make_canvas, open_photo

    spec = artifact.metadata.input
    classifier = Classifier(artifact, case.engine)
    image = open_photo(photo, size=(spec.height, spec.width))
    canvas = make_canvas(image, spec.shape, artifact.metadata.photo)
    batch = np.stack([canvas] * (spec.batch or 1))
    row = case.engine.infer(batch)[0]
    calls: dict[str, tuple[Callable[[], object], str]] = {
        "decode": (
            lambda: open_photo(photo, size=(spec.height, spec.width)),
            "read the file, decode it, turn it upright, 8 bits",
        ),
        "canvas": (
            lambda: make_canvas(image, spec.shape, artifact.metadata.photo),
            f"find what is shown and put it on {spec.height}x{spec.width} pixels ({artifact.metadata.photo.mode})",
        ),
        "inference": (lambda: case.engine.infer(batch), f"the model, on {case.engine.name}"),
        "post": (lambda: classifier.best(row, 1), "the most probable class and its label"),
    }
    taken = measure({name: call for name, (call, _) in calls.items()}, duration_s=_STAGE_S)
    return [Stage(name, taken[name].p50_ms, what) for name, (_, what) in calls.items()]


def _onnxruntime(case: Case, artifact: Artifact) -> list[Operator]:
    import onnxruntime as ort

    with scratch_folder() as scratch:
        options = ort.SessionOptions()
        options.intra_op_num_threads = case.engine.threads
        options.log_severity_level = 3
        options.enable_profiling = True
        options.profile_file_prefix = str(scratch / "profile")
        session = ort.InferenceSession(artifact.loadable(), options, providers=["CPUExecutionProvider"])
        batch = case.batch(case.fixed_batch or 1)
        for _ in range(_WARM_UP_RUNS + _RUNS):
            session.run(None, {artifact.metadata.input.name: batch})
        events = json.loads(Path(session.end_profiling()).read_text())
    times: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            arguments = event["args"]
            name = event["name"].removesuffix("_kernel_time")
            times[name, arguments["op_name"], arguments.get("provider", "")].append(float(event["dur"]))
    return _ranked((key, series[_WARM_UP_RUNS:]) for key, series in times.items())


def _openvino(case: Case, artifact: Artifact) -> list[Operator]:
    from edge_fm_runtime.engines.openvino_core import read_model, shared_core

    core, spec = shared_core(), artifact.metadata.input
    config: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "PERF_COUNT": "YES", "INFERENCE_PRECISION_HINT": "f32"}
    if case.options.device == "CPU":
        config["INFERENCE_NUM_THREADS"] = case.engine.threads
    model = read_model(core, artifact)
    if spec.batch is None:
        model.reshape([1, *spec.shape])
    request = core.compile_model(model, case.options.device, config).create_infer_request()
    batch = case.batch(spec.batch or 1)
    times: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for turn in range(_WARM_UP_RUNS + _RUNS):
        request.infer([batch], share_inputs=True)
        if turn >= _WARM_UP_RUNS:
            for node in request.get_profiling_info():
                if str(node.status).endswith("EXECUTED"):
                    key = (node.node_name, node.node_type, node.exec_type)
                    times[key].append(node.real_time.total_seconds() * 1e6)
    return _ranked(times.items())


def _ranked(times: Iterable[tuple[tuple[str, str, str], list[float]]]) -> list[Operator]:
    """Operators by their medians, slowest first."""
    medians = [(key, float(np.median(series))) for key, series in times if series]
    total = sum(us for _, us in medians) or 1.0
    found = [Operator(name, kind, kernel, us, us / total) for (name, kind, kernel), us in medians]
    return sorted(found, key=lambda operator: -operator.p50_us)


_REPORTERS: dict[str, tuple[str, Callable[[Case, Artifact], list[Operator]]]] = {
    "onnxruntime": ("ONNX Runtime's profiler", _onnxruntime),
    "openvino": ("OpenVINO's performance counters", _openvino),
}
"""Engine -> whose account it is, and the function that reads it. LiteRT's Python interpreter keeps none."""
