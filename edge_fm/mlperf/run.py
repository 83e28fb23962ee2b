"""Run MLPerf scenarios over models, each in a process of its own, and gather LoadGen's verdicts.

Official rules and their sources: MLPerf Inference, `inference_rules.adoc` and `mlperf.conf` (the latter is inside
LoadGen); scenarios: Reddi et al. 2020, "MLPerf Inference Benchmark".
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm.mlperf.logs import LoadGenVerdict, read_predictions, read_verdict
from edge_fm.mlperf.plan import OFFICIAL_NAMES, Plan, Request, Scenario, require_loadgen
from edge_fm_runtime import errors
from edge_fm_runtime.arrays import Pixels
from edge_fm_runtime.engines import EngineOptions
from edge_fm_runtime.errors import DataError, EdgeFMError, EngineError
from edge_fm_runtime.progress import ProgressFn, silent
from edge_fm_runtime.system.child_process import child_command
from edge_fm_runtime.system.scratch import scratch_folder

_POLL_S = 0.2


@dataclass(frozen=True, eq=False)
class Subject:
    """An artifact to be measured, and the images to measure it with.

    Attributes:
        name: of its rows and of its folder.
        path: of the artifact.
        engine: name of the engine.
        options: of the engine.
        images: uint8 `[N,H,W,C]`, at least one.
        labels: int64 `[N]` in the model's order, or None: then no accuracy run is made.
    """

    name: str
    path: str
    engine: str
    options: EngineOptions
    images: Pixels
    labels: npt.NDArray[np.int64] | None


@dataclass(frozen=True, eq=False)
class ScenarioResult:
    """One scenario of one model.

    Attributes:
        subject: the model's name.
        scenario: which.
        official: whether durations and counts were those of MLPerf's rules.
        process: what the process reported: engine, device, precision, threads, batch, runs.
        verdict: of the last run.
        accuracy: fraction of the accuracy log that is right, or None without labels.
        n: images in the library.
    """

    subject: str
    scenario: Scenario
    official: bool
    process: Mapping[str, Any]
    verdict: LoadGenVerdict
    accuracy: float | None
    n: int

    @property
    def metric(self) -> tuple[str, float, str]:
        """What MLPerf counts in this scenario: its name, value and unit."""
        figures = self.verdict.figures
        if self.scenario == "single-stream":
            return "p90 latency", self.verdict.percentile_ms("90.00"), "ms"
        if self.scenario == "multi-stream":
            return "p99 latency", self.verdict.percentile_ms("99.00"), "ms"
        if self.scenario == "server":
            return "completed", float(figures["completed_samples_per_sec"]), "samples/s"
        return "throughput", float(figures["samples_per_second"]), "samples/s"

    def to_json(self) -> dict[str, Any]:
        """The row that `edgefm benchmark --scenario --json` prints."""
        name, value, unit = self.metric
        figures, server = self.verdict.figures, self.scenario == "server"
        return {
            "model": self.subject,
            **{key: self.process[key] for key in ("engine", "device", "precision", "threads", "batch")},
            "scenario": self.scenario,
            "verdict": "VALID" if self.verdict.valid else "INVALID",
            "reasons": list(self.verdict.reasons),
            "errors": list(self.verdict.errors),
            "official_settings": self.official,
            "metric": {"name": name, "value": value, "unit": unit},
            **{f"p{p}_ms": self.verdict.percentile_ms(f"{float(p):.2f}") for p in ("50", "90", "95", "99", "99.9")},
            "target_qps": figures["effective_target_qps"] if server else None,
            "target_latency_ms": figures["effective_target_latency_ns"] / 1e6 if server else None,
            "min_duration_ms": figures["effective_min_duration_ms"],
            "queries": figures["query_count"],
            "accuracy": self.accuracy,
            "n": self.n,
            "runs": len(self.process["runs"]),
            "logs": str(Path(self.process["runs"][-1]).parents[1]),
        }


def loadgen_version() -> str:
    """The version of LoadGen that is installed.

    Raises:
        MissingDependencyError: none is.
    """
    require_loadgen()
    return metadata.version("mlcommons-loadgen")


def run_scenarios(
    subjects: Sequence[Subject],
    scenarios: Sequence[Scenario],
    plan: Plan,
    folder: Path,
    *,
    progress: ProgressFn = silent,
) -> list[ScenarioResult]:
    """Run LoadGen for every scenario of every model, one after the other.

    Args:
        subjects: the models.
        scenarios: which to run.
        plan: durations, rates and bounds.
        folder: LoadGen's logs go to `MODEL/SCENARIO/performance/run_N` and `MODEL/SCENARIO/accuracy` in it.
        progress: called as time passes.

    Raises:
        MissingDependencyError: LoadGen or an engine's package is not installed.
        EdgeFMError: whatever ended a run's process, as the process reported it.
    """
    require_loadgen()
    results = []
    for subject in subjects:
        if not len(subject.images):
            raise DataError(f"There are no images to run {subject.name} with.", hint="Name some: --data SOURCE")
        with scratch_folder("edgefm-loadgen-") as scratch:
            images = scratch / "images.npy"
            np.save(images, subject.images)
            for scenario in scenarios:
                request = Request(
                    scenario=scenario,
                    plan=plan,
                    path=subject.path,
                    engine=subject.engine,
                    options=subject.options,
                    images=str(images),
                    score=subject.labels is not None,
                    folder=str(folder.resolve() / subject.name / OFFICIAL_NAMES[scenario]),
                )
                for old in ("performance", "accuracy"):  # an earlier run's; its logs must not pass for this one's
                    shutil.rmtree(Path(request.folder) / old, ignore_errors=True)
                report = _run_child(request, scratch, f"{subject.name}, {scenario}", progress)
                results.append(_gather(subject, request, report))
    return results


def _gather(subject: Subject, request: Request, report: dict[str, Any]) -> ScenarioResult:
    verdict = read_verdict(Path(report["runs"][-1]))
    accuracy = None
    if subject.labels is not None:
        predictions = read_predictions(Path(request.folder) / "accuracy", len(subject.images))
        accuracy = float((predictions == subject.labels).mean())
    return ScenarioResult(
        subject.name, request.scenario, request.plan.official, report, verdict, accuracy, len(subject.images)
    )


def _run_child(request: Request, scratch: Path, stage: str, progress: ProgressFn) -> dict[str, Any]:
    task, result, log = (scratch / name for name in ("request.json", "result.json", "stderr.txt"))
    task.write_text(json.dumps(asdict(request)))
    result.unlink(missing_ok=True)
    command = child_command("edge_fm.mlperf.child", str(task), str(result))
    lifeline, held = os.pipe()
    started = time.monotonic()
    try:
        with log.open("wb") as stderr:
            # Its scratch folders lie in ours: where the child is killed, nothing else would remove them.
            ours = {**os.environ, "TMPDIR": str(scratch)}
            child = subprocess.Popen(command, stdin=lifeline, stdout=subprocess.DEVNULL, stderr=stderr, env=ours)
        try:
            while True:
                try:
                    child.wait(_POLL_S)
                    break
                except subprocess.TimeoutExpired:
                    progress(stage, int(time.monotonic() - started), None)
        finally:
            child.kill()
            child.wait()
    finally:
        os.close(lifeline)
        os.close(held)
    return _read_result(child.returncode, result, log, stage)


def _read_result(returncode: int, result: Path, log: Path, stage: str) -> dict[str, Any]:
    """What the child wrote, or the error that it wrote, raised here."""
    if result.is_file():
        report: dict[str, Any] = json.loads(result.read_text())
        if "error" not in report:
            return report
        error = report["error"]
        kind = getattr(errors, error["type"], None)
        if isinstance(kind, type) and issubclass(kind, EdgeFMError) and kind is not errors.GateError:
            raise kind(f"{stage}: {error['message']}", hint=error["hint"])
        raise EngineError(f"{stage}: {error['type']}: {error['message']}")
    if returncode < 0:
        name = signal.Signals(-returncode).name
        raise EngineError(f"{stage}: the process that runs LoadGen was ended by {name}.")
    last = (log.read_text(errors="replace").strip().splitlines() or ["no output"])[-1]
    raise EngineError(f"{stage}: the process that runs LoadGen ended with {returncode}: {last}")
