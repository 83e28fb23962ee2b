"""ONNX Runtime's own timing tool in the wheel, `onnxruntime.tools.onnxruntime_test`: the mean of a number of runs.

It has no option for threads and runs with ONNX Runtime's default, one for each physical core.
"""

from __future__ import annotations

import sys

from benchmarks.peers.job import Job
from benchmarks.peers.tools import Report, find, run_tool

_TOOL = "onnxruntime_test"
_PILOT_RUNS = 50


def run(job: Job, seconds: float) -> Report:
    mean_ms = parse(_run(job, _PILOT_RUNS)).mean_ms or 1.0
    return parse(_run(job, max(_PILOT_RUNS, round(1000 * seconds / mean_ms))))


def parse(text: str) -> Report:
    """Read what it printed."""
    return Report(mean_ms=float(find(r"^avg latency: ([\d.e+-]+) ms$", text, _TOOL)[1]))


def _run(job: Job, count: int) -> str:
    import onnxruntime as ort

    batch = ort.InferenceSession(str(job.payload()), providers=["CPUExecutionProvider"]).get_inputs()[0].shape[0]
    sizes = ["--symbolic_dims", f"{batch}={job.batch}"] if isinstance(batch, str) else []
    command = [sys.executable, "-m", "onnxruntime.tools.onnxruntime_test", str(job.payload()), str(count)]
    return run_tool([*command, *sizes])
