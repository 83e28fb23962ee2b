"""How latency and throughput grow: with batch, threads, image size and model size, beside what would be ideal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edge_fm.evaluation.benchmark.cases import Case
from edge_fm.evaluation.benchmark.conditions import Watch
from edge_fm.evaluation.benchmark.roofline import better, measure_roofline
from edge_fm_runtime.artifacts.artifact import Artifact, load_artifact
from edge_fm_runtime.artifacts.metadata import InputSpec, Metadata
from edge_fm_runtime.engines import Engine, EngineOptions, create_engine
from edge_fm_runtime.errors import MissingDependencyError
from edge_fm_runtime.measurement.latency import Latency, measure
from edge_fm_runtime.progress import ProgressFn, silent
from edge_fm_runtime.system.machine import usable_cpus
from edge_fm_runtime.system.scratch import scratch_folder

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SIDES = (28, 56, 112, 224)
THREADS_BATCH = 32
_ENGINES = ("onnxruntime", "openvino")
_MIN_SAMPLES = 20


def measure_scaling(
    cases: Sequence[Case],
    *,
    batches: Sequence[int] = BATCHES,
    sides: Sequence[int] = SIDES,
    models: Sequence[str] | None = None,
    duration_s: float = 0.5,
    progress: ProgressFn = silent,
) -> dict[str, Any]:
    """Measure how the artifacts among `cases`, and models like theirs in other sizes, grow.

    Batch and threads are of the artifacts themselves. Image size and model size need other models: the zoo's, with
    fresh weights (which cost the same), as ONNX on ONNX Runtime and OpenVINO.

    Args:
        cases: of one benchmark; artifacts of a fixed batch are left out.
        batches: batch sizes.
        sides: of square images, pixels.
        models: of the zoo, for the model size; None for the family that the first artifact is of.
        duration_s: counted seconds of each point.
        progress: called as work goes on.

    Returns:
        "machine", the ceilings, see `Roofline`; "batch", "threads", "image_size" and "model_size", each a list of
        points of {"model", "engine", "precision", "p50_ms", "throughput_ips", "macs", ...}; "conditions".

    Raises:
        MissingDependencyError: TensorFlow or tf2onnx is not installed, which the zoo's models need.
    """
    selected = [case for case in cases if case.kind == "artifact" and case.fixed_batch is None]
    threads = max((case.engine.threads for case in selected), default=usable_cpus())
    progress("measuring the roofline", 0, None)
    watch = Watch()
    ceilings = [measure_roofline(n) for n in _thread_counts(threads)]
    found: dict[str, Any] = {"batch": [], "threads": []}
    for size in batches:
        with _engines([(case, replace(case.options, batch=size)) for case in selected]) as engines:
            found["batch"] += _points(selected, engines, size, duration_s, watch, progress, f"scaling: batch {size}")
    # Threads of different engines disturb each other least when one number of threads is measured at a time.
    for count in _thread_counts(threads):
        for size in (1, THREADS_BATCH):
            requested = [(case, replace(case.options, batch=size, threads=count)) for case in selected]
            with _engines(requested) as engines:
                stage = f"scaling: {count} threads"
                found["threads"] += _points(selected, engines, size, duration_s, watch, progress, stage)
    first = load_artifact(selected[0].path) if selected else None
    found |= _other_models(first, sides, models, threads, duration_s, watch, progress)
    # A ceiling is what was possible at any time of the run, so that nothing stands above it by a busy moment alone.
    found["machine"] = [asdict(better(c, measure_roofline(c.threads))) for c in ceilings]
    found["conditions"] = watch.stop().to_json()
    return found


def _other_models(
    like: Artifact | None,
    sides: Sequence[int],
    models: Sequence[str] | None,
    threads: int,
    duration_s: float,
    watch: Watch,
    progress: ProgressFn,
) -> dict[str, Any]:
    """Points for image size and model size, of the zoo's models."""
    from edge_fm.models import MODELS

    name = str(((like.metadata.training or {}) if like else {}).get("model"))
    name = name if name in MODELS else "edgenet-s"
    shape = like.metadata.input.shape if like else MODELS[name].input_shape
    classes = len(like.metadata.labels) if like else MODELS[name].classes
    family = [n for n, entry in MODELS.items() if entry.family == MODELS[name].family] if models is None else models
    found: dict[str, Any] = {"image_size": [], "model_size": []}
    wanted = [("image_size", name, (side, side, shape[2])) for side in sides]
    wanted += [("model_size", model, shape) for model in family]
    for kind, model, size in wanted:
        progress(f"scaling: building {model} for {size[0]}x{size[1]}", 0, None)
        with scratch_folder() as scratch:
            artifact, macs, parameters = _fresh(model, size, classes, scratch)
            with _opened(artifact, threads) as engines:
                batch = np.zeros((1, *size), np.uint8)
                calls = {e.name: partial(e.infer, batch) for e in engines}
                taken = measure(calls, duration_s=duration_s, min_samples=_MIN_SAMPLES, on_round=_look(watch))
                for engine in engines:
                    point = _point(model, engine, 1, taken[engine.name], macs, parameters, size)
                    found[kind].append(point | {"side": size[0]})
    return found


def _fresh(
    model: str, shape: tuple[int, int, int], classes: int, folder: Path
) -> tuple[Artifact, int | None, int | None]:
    """A zoo model with fresh weights as ONNX, its multiply-adds and its parameters; not gated, never to be shipped."""
    from edge_fm.models import build_model
    from edge_fm_export.compat.tensorflow_setup import require_tensorflow
    from edge_fm_export.context import BuildContext, SourceModel
    from edge_fm_export.graph import count_macs
    from edge_fm_export.onnx.onnx_format import PAYLOAD, build_fp32
    from edge_fm_runtime.artifacts.metadata import PhotoSpec

    _, keras = require_tensorflow("measuring how models scale")
    network = build_model(model, input_shape=shape, classes=classes)
    spec, labels = InputSpec(*shape), tuple(f"class_{i}" for i in range(classes))
    source = SourceModel(model, network, spec, labels, PhotoSpec(), "0" * 64)
    scratch = folder / "scratch"
    scratch.mkdir()
    build_fp32(BuildContext(source, scratch), folder)
    macs, parameters = count_macs(network), int(network.count_params())
    keras.backend.clear_session()
    metadata = Metadata(model, "onnx", "fp32", PAYLOAD, spec, labels)
    return Artifact(folder, metadata, folder / PAYLOAD), macs, parameters


@contextmanager
def _opened(artifact: Artifact, threads: int) -> Iterator[list[Engine]]:
    engines: list[Engine] = []
    try:
        for name in _ENGINES:
            try:
                engines.append(create_engine(artifact, name, options=EngineOptions(threads=threads)))
            except MissingDependencyError:
                continue  # not installed: its lines are missing from the drawing, and its name from the legend
        yield engines
    finally:
        for engine in engines:
            engine.close()


@contextmanager
def _engines(requested: Sequence[tuple[Case, EngineOptions]]) -> Iterator[list[Engine]]:
    engines = [case.engine if case.reopen is None else case.reopen(options) for case, options in requested]
    try:
        yield engines
    finally:
        for engine, (case, _) in zip(engines, requested, strict=True):
            if engine is not case.engine:
                engine.close()


def _points(
    cases: Sequence[Case],
    engines: Sequence[Engine],
    size: int,
    duration_s: float,
    watch: Watch,
    progress: ProgressFn,
    stage: str,
) -> list[dict[str, Any]]:
    progress(stage, 0, None)
    calls = {str(i): partial(e.infer, case.batch(size)) for i, (case, e) in enumerate(zip(cases, engines, strict=True))}
    taken = measure(calls, duration_s=duration_s, min_samples=_MIN_SAMPLES, on_round=_look(watch))
    return [
        _point(
            case.model, engine, size, taken[str(i)], case.facts.get("macs"), case.facts.get("parameters"), case.shape
        )
        for i, (case, engine) in enumerate(zip(cases, engines, strict=True))
    ]


def _point(
    model: str,
    engine: Engine,
    size: int,
    latency: Latency,
    macs: int | None,
    parameters: int | None,
    shape: tuple[int, int, int],
) -> dict[str, Any]:
    pixel_bytes = shape[0] * shape[1] * shape[2]
    gflops = None if macs is None else 2.0 * macs * size / (latency.p50_ms * 1e6)
    return {
        "model": model,
        "engine": engine.name,
        "precision": engine.precision,
        "threads": engine.threads,
        "batch": size,
        "n": latency.n,
        "p50_ms": latency.p50_ms,
        "throughput_ips": 1000.0 * size / latency.p50_ms,
        "macs": macs,
        "parameters": parameters,
        "pixel_bytes": pixel_bytes,
        "gflops": gflops,
    }


def _look(watch: Watch) -> Any:
    return lambda _done, _total: watch.look()


def _thread_counts(most: int) -> list[int]:
    """1, its doublings, and all."""
    return sorted({most, *(1 << n for n in range(most.bit_length()) if 1 << n <= most)})


def ceiling_of(scaling: Mapping[str, Any]) -> Mapping[str, Any]:
    """The ceilings with all threads, out of what `measure_scaling` returns."""
    return dict(max(scaling["machine"], key=lambda c: c["threads"]))
