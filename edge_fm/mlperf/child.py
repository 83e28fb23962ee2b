"""The process that runs LoadGen for one scenario of one model.

`python -m edge_fm.mlperf.child REQUEST.json RESULT.json`. LoadGen cannot be stopped from inside a run, and
an exception that reaches its C++ frames ends the process with a signal; so it has a process of its own, which ends
when something fails, when it is interrupted, and when its parent, who holds the other end of stdin, is gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from edge_fm.mlperf.logs import LoadGenVerdict, read_verdict
from edge_fm.mlperf.pace import Pace, find_rate, measure_pace
from edge_fm.mlperf.plan import RUNS_TO_TRY, Request, require_loadgen
from edge_fm.mlperf.samples import SampleLibrary
from edge_fm.mlperf.settings import OFFLINE_RESERVE, adjust, base_settings, expect, require_memory
from edge_fm.mlperf.sut import Fail, InlineIssuer, QueueIssuer, System
from edge_fm_export.browser_runtime import BROWSER_ENGINES
from edge_fm_export.engines import REFERENCE_ENGINES
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.engines import ENGINES, create_engine
from edge_fm_runtime.errors import EdgeFMError
from edge_fm_runtime.system.scratch import scratch_folder

_TRIAL_MS = 1000
_TRIAL_QUERIES = 100
_TRIAL_SHARE = 0.5
"""Of the peak rate: what an offline trial is prepared for."""
_MOST_QUERIES = 50_000.0
"""A second: LoadGen hands each to Python by itself, which takes longer than a tiny model."""
_HOLD = 0.8
"""A trial holds if its 99th percentile is below this part of the bound."""


@dataclass(frozen=True)
class Harness:
    """LoadGen, and what it drives."""

    loadgen: Any
    samples: SampleLibrary
    system: System
    batch: int

    def run(self, settings: Any, mode: str, folder: Path) -> None:
        """One run of LoadGen; its logs go to `folder`."""
        lg, samples = self.loadgen, self.samples
        folder.mkdir(parents=True, exist_ok=True)
        settings.mode = getattr(lg.TestMode, mode)
        output = lg.LogOutputSettings()
        output.outdir, output.copy_summary_to_stdout = str(folder), False
        log = lg.LogSettings()
        log.log_output, log.enable_trace = output, False
        queued = settings.scenario == lg.TestScenario.Server
        issuer = (QueueIssuer if queued else InlineIssuer)(self.system, self.batch)
        sut = lg.ConstructFastSUT(issuer.issue, lambda: None)
        qsl = lg.ConstructQSL(
            samples.total,
            samples.performance_count,
            _guarded(samples.load, self.system.fail),
            _guarded(samples.unload, self.system.fail),
        )
        try:
            # The last argument names a compliance test's settings; none may lie in the user's folder by chance.
            lg.StartTestWithLogSettings(sut, qsl, settings, log, str(folder / "audit.config"))
        finally:
            lg.DestroyQSL(qsl)
            lg.DestroyFastSUT(sut)
            issuer.close()

    def trial(self, settings: Any) -> LoadGenVerdict:
        """A short performance run, whose logs are not stored."""
        duration, count = settings.min_duration_ms, settings.min_query_count
        settings.min_duration_ms, settings.min_query_count = min(duration, _TRIAL_MS), _TRIAL_QUERIES
        try:
            with scratch_folder() as scratch:
                self.run(settings, "PerformanceOnly", scratch)
                return read_verdict(scratch)
        finally:
            settings.min_duration_ms, settings.min_query_count = duration, count


def _guarded(function: Callable[[Any], None], fail: Fail) -> Callable[[Any], None]:
    def call(indices: Any) -> None:
        try:
            function(indices)
        except BaseException as error:  # noqa: BLE001
            fail(error)

    return call


def run_request(request: Request, fail: Fail) -> dict[str, Any]:
    """Open the model, find its pace, run LoadGen for performance and, on request, for accuracy."""
    loadgen = require_loadgen()
    artifact = load_artifact(request.path)
    registry = {**ENGINES, **REFERENCE_ENGINES, **BROWSER_ENGINES}
    engine = create_engine(artifact, request.engine, options=request.options, registry=registry)
    samples = SampleLibrary(request.images)
    system = System(loadgen, engine, samples, fail=fail)
    first = list(range(samples.performance_count))
    samples.load(first)
    pace = measure_pace(system, samples.get(first), only=artifact.metadata.input.batch)
    samples.unload(first)
    settings = base_settings(loadgen, request.scenario, request.plan, total=samples.total)
    harness = Harness(loadgen, samples, system, _select_batch(request, pace, settings))
    _prepare(request, harness, settings, pace)
    require_memory(settings, request.scenario)
    runs = _perform(request, harness, settings)
    if request.score:
        # Each sample is queried once, and at a server's rate; speed does not matter here.
        settings.server_target_qps = max(settings.server_target_qps, min(_MOST_QUERIES, 0.5 * pace.peak_ips))
        harness.run(settings, "AccuracyOnly", Path(request.folder) / "accuracy")
    return {
        "engine": engine.name,
        "device": engine.device,
        "precision": engine.precision,
        "threads": engine.threads,
        "batch": harness.batch,
        "runs": runs,
        "one_query_ms": 1e3 * pace.usual_s[1],
        "peak_ips": pace.peak_ips,
    }


def _select_batch(request: Request, pace: Pace, settings: Any) -> int:
    if request.scenario == "offline":
        return request.plan.batch or pace.best_batch
    if request.scenario == "server":
        return pace.server_batch(settings.server_target_latency_ns / 1e9)
    return int(settings.multi_stream_samples_per_query)


def _prepare(request: Request, harness: Harness, settings: Any, pace: Pace) -> None:
    eight = max((b for b in pace.usual_s if b <= harness.batch), default=1)
    query_s = pace.usual_s[1] if request.scenario == "single-stream" else pace.usual_s[eight] * harness.batch / eight
    expect(settings, query_s=query_s, samples_per_s=_TRIAL_SHARE * pace.peak_ips)
    if request.scenario == "offline":
        figures = harness.trial(settings).figures
        settings.offline_expected_qps = OFFLINE_RESERVE * float(figures["samples_per_second"])
    elif request.scenario == "server" and request.plan.target_qps is not None:
        settings.server_target_qps = request.plan.target_qps
    elif request.scenario == "server":
        settings.server_target_qps = _find_held_rate(harness, settings, pace)


def _find_held_rate(harness: Harness, settings: Any, pace: Pace) -> float:
    """A rate that a server holds, in queries a second, or one that LoadGen will find too high."""
    bound_s = settings.server_target_latency_ns / 1e9
    peak = min(_MOST_QUERIES, max(b / s for b, s in pace.least_s.items() if b <= harness.batch))
    if pace.usual_s[1] >= bound_s:  # no rate can hold the bound; LoadGen reports it at any
        return 0.5 * peak

    def holds(rate: float) -> bool:
        settings.server_target_qps = rate
        return bool(harness.trial(settings).percentile_ms("99.00") <= 1e3 * _HOLD * bound_s)

    return find_rate(holds, peak) or peak / 100


def _perform(request: Request, harness: Harness, settings: Any) -> list[str]:
    """Run for performance until it is valid, or another run cannot make it valid; returns the folders of the runs."""
    folders: list[str] = []
    for number in range(1, RUNS_TO_TRY + 1):
        folder = Path(request.folder) / "performance" / f"run_{number}"
        harness.run(settings, "PerformanceOnly", folder)
        folders.append(str(folder))
        verdict: LoadGenVerdict = read_verdict(folder)
        mine = request.plan.target_qps is None
        if verdict.valid or number == RUNS_TO_TRY or not adjust(settings, request.scenario, verdict, rate_is_ours=mine):
            break
    return folders


def main(arguments: list[str]) -> None:
    """Run one request; the result, or what went wrong, is in the second file."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no KeyboardInterrupt may be raised below LoadGen's frames
    threading.Thread(target=_end_with_parent, daemon=True).start()
    result = Path(arguments[1])

    def fail(error: BaseException) -> NoReturn:
        failure: dict[str, Any] = {"type": type(error).__name__, "message": str(error), "hint": None}
        if isinstance(error, EdgeFMError):
            failure |= {"message": error.message, "hint": error.hint}
        result.write_text(json.dumps({"error": failure}))
        traceback.print_exception(error)
        sys.stderr.flush()
        os._exit(1)

    try:
        request = Request.from_json(json.loads(Path(arguments[0]).read_text()))
        done = run_request(request, fail)
    except BaseException as error:  # noqa: BLE001
        fail(error)
    result.write_text(json.dumps(done))
    sys.stdout.flush()
    os._exit(0)  # libraries that still hold threads have nothing left to do


def _end_with_parent() -> None:
    # Not through sys.stdin: its lock, held while reading, would stop any process that a library forks from this one.
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
