"""Scaling measures what it says, under ceilings of the same run; its section draws all that grows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from edge_fm.api.common.engines import ALL_ENGINES
from edge_fm.evaluation.benchmark.cases import artifact_case, closing_engines
from edge_fm.evaluation.benchmark.roofline import Roofline, better, measure_roofline
from edge_fm.evaluation.benchmark.scaling import measure_scaling
from edge_fm.evaluation.benchmark.scaling_page import scaling_section
from edge_fm_export.targets import Target
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.engines import EngineOptions
from edge_fm_runtime.errors import EngineError


@pytest.mark.needs("onnx")
def test_ceilings_are_positive_and_the_better_of_two_has_the_higher_of_each() -> None:
    roof = measure_roofline(1)
    assert roof.peak_gflops > 0.1 and roof.bandwidth_gbs > 0.1
    assert better(Roofline(1, 5.0, 1.0), Roofline(1, 3.0, 2.0)) == Roofline(1, 5.0, 2.0)


@pytest.mark.needs("onnx")
def test_ceilings_leave_no_thread_behind() -> None:
    before = set(threading.enumerate())
    measure_roofline(2)
    assert set(threading.enumerate()) == before


def test_the_engines_of_cases_are_closed_even_after_an_error(exported: Callable[..., Any]) -> None:
    artifact = load_artifact(exported("grey", Target("onnx", "fp32")).path)
    case = artifact_case(artifact, "auto", EngineOptions(threads=1), registry=ALL_ENGINES)
    with pytest.raises(ZeroDivisionError), closing_engines([case]):
        raise ZeroDivisionError
    with pytest.raises(EngineError, match="closed"):
        case.engine.infer(case.batch(1))


def test_every_thing_that_grows_is_measured_and_drawn(exported: Callable[..., Any]) -> None:
    artifact = load_artifact(exported("grey", Target("onnx", "fp32")).path)
    case = artifact_case(artifact, "auto", EngineOptions(threads=2), registry=ALL_ENGINES)
    found = measure_scaling([case], batches=(1, 4), sides=(28,), models=("edgenet-n",), duration_s=0.02)
    assert [p["batch"] for p in found["batch"]] == [1, 4]
    assert {(p["threads"], p["batch"]) for p in found["threads"]} == {(1, 1), (1, 32), (2, 1), (2, 32)}
    assert {p["engine"] for p in found["model_size"]} == {"onnxruntime", "openvino"}
    assert [p["side"] for p in found["image_size"]] == [28, 28]
    for part in ("batch", "threads", "image_size", "model_size"):
        for point in found[part]:
            assert point["throughput_ips"] == pytest.approx(1000 * point["batch"] / point["p50_ms"])
            assert point["gflops"] == pytest.approx(2e-6 * point["macs"] * point["batch"] / point["p50_ms"])
    assert [c["threads"] for c in found["machine"]] == [1, 2]
    page = scaling_section(found)
    assert page.count("<svg") == 6 and "GB/s" in page
    assert scaling_section(None) == ""
