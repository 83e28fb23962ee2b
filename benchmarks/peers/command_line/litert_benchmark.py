"""LiteRT's `litert-benchmark`, which times its CompiledModel: the median. It takes the file's own batch, which is 1."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.peers.job import Job
from benchmarks.peers.tools import Report, ToolError, run_tool, script

_TOOL = "litert-benchmark"
_PILOT_RUNS = 50


def run(job: Job, seconds: float) -> Report:
    if job.batch != 1:
        raise ToolError(f"litert-benchmark cannot run a batch of {job.batch}: it does not resize the input")
    p50_ms = _run(job, _PILOT_RUNS).p50_ms or 1.0
    return _run(job, max(_PILOT_RUNS, round(1000 * seconds / p50_ms)))


def parse(text: str, job: Job) -> Report:
    """Read its JSON."""
    values = json.loads(text)
    report = Report(p50_ms=float(values["latency"]["median_ms"]), threads=int(values["num_threads"]))
    if report.threads != job.threads:
        raise ToolError(f"litert-benchmark ran on {report.threads} threads, not on {job.threads}")
    return report


def _run(job: Job, count: int) -> Report:
    with tempfile.TemporaryDirectory() as scratch:
        result = Path(scratch) / "result.json"
        command = [script(_TOOL), "--model", str(job.payload()), "--num_threads", str(job.threads)]
        run_tool([*command, "--num_runs", str(count), "--warmup_runs", "20", "--result_json", str(result)])
        if not result.is_file():
            raise ToolError("litert-benchmark wrote no result")
        return parse(result.read_text(), job)
