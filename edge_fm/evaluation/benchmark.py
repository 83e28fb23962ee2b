"""What artifacts cost beside the original: every case in one interleaved run, every start in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_fm_runtime.engines import Engine, EngineOptions, Pixels, create_engine
from edge_fm_runtime.latency import Latency, measure
from edge_fm_runtime.machine import describe_machine, usable_cpus
from edge_fm_runtime.probe import OPEN_ARTIFACT, StartCost, measure_start
from edge_fm_runtime.progress import ProgressFn, silent

if TYPE_CHECKING:
    from edge_fm_runtime.artifact import Artifact

OPEN_REFERENCE = "edge_fm.evaluation.benchmark:open_reference"

_LIBRARIES = ("edge-fm", "numpy", "onnxruntime", "openvino", "ai-edge-litert", "tensorflow", "keras", "pillow")


@dataclass(frozen=True, eq=False)
class Case:
    """One model on one engine.

    Attributes:
        model: what the row is called.
        engine: running.
        shape: height, width, channels of one image.
        fixed_batch: the only batch size that it takes, or None for any.
        opener: "module:function" that opens it in a process of its own, see `probe`.
        path: what the opener opens.
        engine_name: as the opener takes it.
        options: what is asked of the engine.
        images: uint8 `[n,H,W,C]` to run, n of at least 1; repeated to fill a batch.
    """

    model: str
    engine: Engine
    shape: tuple[int, int, int]
    fixed_batch: int | None
    opener: str
    path: str
    engine_name: str
    options: EngineOptions
    images: Pixels


@dataclass(frozen=True, eq=False)
class Row:
    """One case at one batch size; latencies are of a whole batch, throughput in images a second."""

    case: Case
    batch: int
    latency: Latency
    start: StartCost

    def to_json(self) -> dict[str, Any]:
        """The row that `edgefm benchmark --json` prints."""
        engine, latency = self.case.engine, self.latency
        return {
            "model": self.case.model,
            "engine": engine.name,
            "device": engine.device,
            "precision": engine.precision,
            "batch": self.batch,
            "threads": engine.threads,
            "n": latency.n,
            **{f"{p}_ms": latency.percentile_ms(p) for p in ("p50", "p90", "p95", "p99")},
            "mean_ms": latency.mean_ms,
            "throughput_ips": 1000.0 * self.batch / latency.mean_ms,
            "load_ms": self.start.load_ms,
            "first_ms": self.start.first_ms,
            "peak_rss_mib": self.start.peak_rss_mib,
        }


@dataclass(frozen=True, eq=False)
class BenchmarkReport:
    """Rows in the order of the cases, and the machine they were measured on."""

    environment: Mapping[str, Any]
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm benchmark --json` prints."""
        return {
            "environment": dict(self.environment),
            "rows": [row.to_json() for row in self.rows],
            "ratios": self.ratios(),
        }

    def ratios(self) -> list[dict[str, Any]]:
        """Median latency of each reference over that of each artifact, at the same batch size."""
        references = [r for r in self.rows if r.case.opener == OPEN_REFERENCE or r.case.engine.name == "savedmodel"]
        artifacts = [r for r in self.rows if r not in references]
        return [
            {
                "of": of.case.model,
                "to": to.case.model,
                "batch": of.batch,
                "p50_ratio": of.latency.p50_ms / to.latency.p50_ms,
            }
            for of in references
            for to in artifacts
            if of.batch == to.batch
        ]


def artifact_case(
    artifact: Artifact,
    engine: str,
    options: EngineOptions,
    *,
    registry: Mapping[str, str],
    images: Pixels | None = None,
) -> Case:
    """Make a case of an artifact; the images are its golden inputs unless others are given.

    Raises:
        EngineError, DeviceError, MissingDependencyError: see `create_engine`.
    """
    runner = create_engine(artifact, engine, options=options, registry=registry)
    opener = OPEN_ARTIFACT if runner.name != "savedmodel" else OPEN_REFERENCE
    spec = artifact.metadata.input
    return Case(
        model=artifact.metadata.name,
        engine=runner,
        shape=spec.shape,
        fixed_batch=spec.batch,
        opener=opener,
        path=str(artifact.path.resolve()),
        engine_name=runner.name,
        options=options,
        images=_images(artifact) if images is None else images,
    )


def reference_cases(path: Path, options: EngineOptions, images: Pixels) -> list[Case]:
    """Make cases of the Keras original, called and through `predict`."""
    from edge_fm_export.sources import load_source

    source = load_source(path)
    return [
        Case(
            model=f"{source.name} ({name})",
            engine=_keras_engine(source, name, options),
            shape=source.input.shape,
            fixed_batch=None,
            opener=OPEN_REFERENCE,
            path=str(path.resolve()),
            engine_name=name,
            options=options,
            images=images,
        )
        for name in ("keras", "keras-predict")
    ]


def open_reference(path: str, engine: str, options: EngineOptions) -> tuple[Engine, tuple[int, int, int]]:
    """Open the Keras original or a SavedModel artifact; for `probe`."""
    if engine == "savedmodel":
        from edge_fm_export.engines import REFERENCE_ENGINES
        from edge_fm_runtime.artifact import load_artifact

        artifact = load_artifact(path)
        return create_engine(
            artifact, engine, options=options, registry=REFERENCE_ENGINES
        ), artifact.metadata.input.shape
    from edge_fm_export.sources import load_source

    source = load_source(Path(path))
    return _keras_engine(source, engine, options), source.input.shape


def _keras_engine(source: Any, name: str, options: EngineOptions) -> Engine:
    from edge_fm_export.engines import reference_engine

    return reference_engine(name, source, options)


def run_benchmark(
    cases: Sequence[Case],
    *,
    batches: Sequence[int] = (1,),
    duration_s: float = 1.0,
    progress: ProgressFn = silent,
) -> BenchmarkReport:
    """Measure every case at every batch size.

    Cases of one batch size are interleaved in one run; the starts are measured before, each in its own process.

    Args:
        cases: what to measure.
        batches: batch sizes; a case of a fixed batch is measured at that one alone.
        duration_s: counted seconds for each case and batch size.
        progress: called as work goes on.
    """
    starts = []
    for done, case in enumerate(cases):
        progress("measuring starts", done, len(cases))
        starts.append(
            measure_start(case.opener, case.path, case.engine_name, case.options, batch=case.fixed_batch or 1)
        )
    rows: list[Row] = []
    sizes = sorted({*batches, *(c.fixed_batch for c in cases if c.fixed_batch)})
    for size in sizes:
        measured = [
            i for i, c in enumerate(cases) if (c.fixed_batch or size) == size and (c.fixed_batch or size in batches)
        ]
        calls: dict[str, Callable[[], object]] = {
            str(i): partial(cases[i].engine.infer, _fill(cases[i].images, size)) for i in measured
        }
        stage = f"timing batch {size}"
        latencies = measure(calls, duration_s=duration_s, on_round=lambda d, t, s=stage: progress(s, d, t))  # type: ignore[misc]
        rows += [Row(cases[i], size, latencies[str(i)], starts[i]) for i in measured]
    return BenchmarkReport(environment(), tuple(rows))


def environment() -> dict[str, Any]:
    """Machine, versions and time of a measurement."""
    return {
        "machine": describe_machine(),
        "versions": {name: v for name in _LIBRARIES if (v := _version(name)) is not None},
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "threads": usable_cpus(),
        "command": sys.argv[1:],
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None  # not installed, so no row depends on it


def _images(artifact: Artifact) -> Pixels:
    from edge_fm_runtime.golden import GOLDEN_FILE, load_golden

    if not artifact.bare and GOLDEN_FILE in artifact.metadata.files:
        return load_golden(artifact.path / GOLDEN_FILE).images
    return np.random.default_rng(0).integers(0, 256, (32, *artifact.metadata.input.shape), dtype=np.uint8)


def _fill(images: Pixels, size: int) -> Pixels:
    return np.ascontiguousarray(np.resize(images, (size, *images.shape[1:])))
