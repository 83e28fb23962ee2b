"""OpenVINO's benchmark_app, at the same static shape, arithmetic and threads; it fills its input with random values."""

from __future__ import annotations

from benchmarks.peers.job import Job
from benchmarks.peers.tools import Report, ToolError, find, run_tool, script
from edge_fm_runtime.system.machine import usable_cpus

_TOOL = "benchmark_app"
_MS = {"ms": 1.0, "us": 1e-3}


def run_latency(job: Job, seconds: float) -> Report:
    """The latency hint, one request at a time: the median."""
    return parse(_run(job, seconds, "latency", "sync"), job)


def run_throughput(job: Job, seconds: float) -> Report:
    """The throughput hint, as many requests at once as OpenVINO likes: images a second."""
    return parse(_run(job, seconds, "throughput", "async"), job)


def parse(text: str, job: Job) -> Report:
    """Read what benchmark_app printed; it writes microseconds below a millisecond."""
    median = find(r"\] +Median: +([\d.]+) (ms|us)$", text, _TOOL)
    rate = find(r"\] Throughput: +([\d.]+) FPS$", text, _TOOL)
    threads = find(r"\] +INFERENCE_NUM_THREADS: (\d+)$", text, _TOOL)
    report = Report(p50_ms=float(median[1]) * _MS[median[2]], images_per_second=float(rate[1]), threads=int(threads[1]))
    precision = find(r"\] +INFERENCE_PRECISION_HINT: (.+)$", text, _TOOL)[1]
    if "float32" not in precision and "f32" not in precision:
        raise ToolError(f"benchmark_app ran at {precision}, not at f32")
    if report.threads != job.threads:
        raise ToolError(f"benchmark_app ran on {report.threads} threads, not on {job.threads}")
    return report


def _run(job: Job, seconds: float, hint: str, api: str) -> str:
    if job.threads != usable_cpus():
        # Its -nthreads excludes -hint, and a hint is what is compared.
        raise ToolError(f"benchmark_app with a hint runs on all {usable_cpus()} threads, not on {job.threads}")
    shape = "[" + ",".join(map(str, job.pixels().shape)) + "]"
    command = [script(_TOOL), "-m", str(job.payload()), "-d", "CPU", "-hint", hint, "-api", api]
    return run_tool([*command, "-t", str(max(1, round(seconds))), "-shape", shape, "-infer_precision", "f32"])
