"""Peers: the tools' reports read, and a real worker beside ours."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("benchmarks", reason="benchmarks/ is in the repository alone")
peers = import_module("benchmarks.peers")

from benchmarks.peers.command_line import benchmark_app, litert_benchmark, onnxruntime_test  # noqa: E402
from benchmarks.peers.compare import OURS, Comparison, _start, latency  # noqa: E402
from benchmarks.peers.job import Job  # noqa: E402
from benchmarks.peers.report import cells, headline, to_json  # noqa: E402
from benchmarks.peers.tools import ToolError, run_tool  # noqa: E402
from edge_fm.evaluation.benchmark.statistics import Estimate, median_ratio  # noqa: E402

APP = """[Step 8/11] Querying optimal runtime parameters
[ INFO ]   INFERENCE_NUM_THREADS: 2
[ INFO ]   INFERENCE_PRECISION_HINT: <Type: 'float32'>
[Step 11/11] Dumping statistics report
[ INFO ] Count:            799 iterations
[ INFO ] Latency:
[ INFO ]    Median:        %s
[ INFO ]    Average:       1.23 ms
[ INFO ] Throughput:   792.91 FPS
"""
JOB = Job("", "", 1, 2, "")


@pytest.mark.parametrize(("printed", "p50_ms"), [("0.17 ms", 0.17), ("95.32 us", 0.09532), ("12.00 ms", 12.0)])
def test_benchmark_app_in_milliseconds_and_microseconds(printed: str, p50_ms: float) -> None:
    report = benchmark_app.parse(APP % printed, JOB)
    assert report.p50_ms == pytest.approx(p50_ms)
    assert (report.images_per_second, report.threads) == (792.91, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (APP % "0.1 s", "no line like"),
        ((APP % "1 ms").replace("float32", "bfloat16"), "bfloat16"),
        ((APP % "1 ms").replace("THREADS: 2", "THREADS: 4"), "4 threads, not on 2"),
        ("", "no line like"),
    ],
)
def test_benchmark_app_of_another_kind_is_not_compared(text: str, said: str) -> None:
    with pytest.raises(ToolError, match=said):
        benchmark_app.parse(text, JOB)


def test_onnxruntimes_tool_gives_the_mean() -> None:
    report = onnxruntime_test.parse("model: m\niterations: 500\navg latency: 1.3549564500008273 ms\n")
    assert report.mean_ms == pytest.approx(1.35495645) and report.p50_ms is None


def test_literts_tool_gives_the_median() -> None:
    text = '{"num_threads": 2, "latency": {"median_ms": 0.16}}'
    assert litert_benchmark.parse(text, JOB).p50_ms == 0.16
    with pytest.raises(ToolError, match="1 threads, not on 2"):
        litert_benchmark.parse(text.replace(": 2", ": 1"), JOB)
    with pytest.raises(ToolError, match="batch of 8"):
        litert_benchmark.run(Job("", "", 8, 2, ""), 1.0)


def test_a_tool_that_fails_or_is_absent_says_so() -> None:
    with pytest.raises(ToolError, match="not installed"):
        run_tool(["/nowhere/benchmark_app"])
    with pytest.raises(ToolError, match="ended with 1"):
        run_tool(["false"])


def test_workers_predict_time_and_fail_by_name(artifact_folder: Path, tmp_path: Path) -> None:
    from contextlib import ExitStack

    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    job = Job(str(tmp_path), str(artifact_folder), 3, 1, str(tmp_path / "images.npy"))
    failed: dict[str, str] = {}
    with ExitStack() as stack:
        workers = _start([OURS, "onnxruntime", "keras call"], job, stack, failed)
        assert set(workers) == {OURS, "onnxruntime"} and "keras call ended" in failed["keras call"]
        rounds = {name: [w.ask(seconds=0.01)["ns"] for _ in range(3)] for name, w in workers.items()}
        assert workers[OURS].ask(seconds=0.02, stream=True)["images_per_second"] > 0
    ours, theirs = latency(rounds[OURS]), latency(rounds["onnxruntime"])
    assert ours.n >= 15 and median_ratio(ours, theirs).value > 0


def comparison(ratio: Estimate | None, remark: str = "") -> Comparison:
    figure = None if ratio is None else ratio.value
    return Comparison("m", "openvino", "p", 1, 2, "median", figure, 1.0 if figure else None, ratio, remark)


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        (Estimate(0.5, 0.4, 0.6), "faster"),
        (Estimate(1.0, 0.9, 1.1), "even"),
        (Estimate(1.05, 1.02, 1.08), "slower"),
        (Estimate(1.2, 1.1, 1.3), "LOSES"),
        (Estimate(1.2, 0.9, 1.5), "even"),
        (None, "not run"),
    ],
)
def test_the_verdict_needs_the_whole_interval(ratio: Estimate | None, verdict: str) -> None:
    row = to_json(comparison(ratio, "not installed"))
    assert row["verdict"] == verdict and len(cells(row)) == 9
    lost = "1 of 1 peers are faster" in headline({"rows": [row]})
    assert lost == (verdict == "LOSES")
