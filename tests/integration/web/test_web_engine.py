"""Headless Chromium as an engine: `edgefm verify --engine web`, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from headless_browser import needs_chromium
from web_pages import STAND_IN, make_page, real_runtime

from edge_fm.api.common.engines import ALL_ENGINES, select_engine
from edge_fm_export.targets import Target
from edge_fm_runtime.artifacts.artifact import Artifact, load_artifact
from edge_fm_runtime.artifacts.golden import golden_of
from edge_fm_runtime.engines import EngineOptions, create_engine
from edge_fm_runtime.errors import ClosedError, DeviceError, EngineError, MissingDependencyError
from edge_fm_runtime.parity.verification import verify_golden
from edge_fm_runtime.system.own_processes import own_processes

pytestmark = pytest.mark.needs("tensorflow", "tf2onnx", "onnx")


@pytest.fixture(scope="module")
def base(exported_with_outputs: Callable[..., Any]) -> Artifact:
    return load_artifact(exported_with_outputs("colour", Target("onnx", "int8")).path)


@needs_chromium
def test_golden_predictions_pass_in_the_browser(base: Artifact, tmp_path: Any) -> None:
    artifact = make_page(base, tmp_path, real_runtime())
    engine = create_engine(artifact, "web", options=EngineOptions(threads=1), registry=ALL_ENGINES)
    verification = verify_golden(artifact, engine)
    assert verification.passed, verification.checks
    assert (verification.engine, verification.device, verification.precision) == ("web", "CPU", "int8")
    golden = golden_of(artifact)
    outputs = engine.infer_outputs(golden.images[:5])
    assert outputs["embedding"].shape == golden.extra["embedding"].exported[:5].shape
    with pytest.raises(EngineError, match=r"uint8 \[N, 12, 10, 3\]"):
        engine.infer(np.zeros((1, 3, 3, 3), np.uint8))
    engine.close()
    with pytest.raises(ClosedError):
        engine.infer(golden.images[:1])
    with pytest.raises(DeviceError, match="WebGPU"):
        create_engine(artifact, "web", options=EngineOptions(device="GPU"), registry=ALL_ENGINES)


@needs_chromium
def test_half_precision_runs_in_the_browser_widened(exported: Callable[..., Any], tmp_path: Any) -> None:
    artifact = make_page(load_artifact(exported("grey", Target("onnx", "fp16")).path), tmp_path, real_runtime())
    engine = create_engine(artifact, "web", options=EngineOptions(threads=1), registry=ALL_ENGINES)
    pid = next(iter(own_processes()))  # the benchmark counts what the browser takes as ours
    try:
        verification = verify_golden(artifact, engine)
    finally:
        engine.close()
    assert verification.passed, verification.checks
    assert verification.parity.n == 32 and verification.parity.top1_agreement == 1
    assert (verification.device, verification.precision) == ("CPU", "fp32")
    assert not own_processes() and not Path(f"/proc/{pid}").exists()


@needs_chromium
def test_a_page_that_cannot_load_is_an_error(base: Artifact, tmp_path: Any) -> None:
    artifact = make_page(base, tmp_path, STAND_IN)
    with pytest.raises(EngineError, match="does not load its model"):
        create_engine(artifact, "web", options=EngineOptions(threads=1), registry=ALL_ENGINES)


def test_what_is_no_page_or_no_device_is_refused(
    base: Artifact, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EngineError, match="runs web artifacts"):
        create_engine(base, "web", registry=ALL_ENGINES)
    artifact = make_page(base, tmp_path, STAND_IN)
    with pytest.raises(EngineError, match="bare model"):
        create_engine(replace(artifact, bare=True), "web", registry=ALL_ENGINES)
    with pytest.raises(DeviceError, match="CPU"):
        create_engine(artifact, "web", options=EngineOptions(device="NPU"), registry=ALL_ENGINES)
    monkeypatch.setenv("EDGEFM_CHROMIUM", str(tmp_path / "nothing"))
    with pytest.raises(MissingDependencyError, match="EDGEFM_CHROMIUM names, is no program"):
        create_engine(artifact, "web", registry=ALL_ENGINES)


def test_a_benchmark_runs_pages_in_the_browser_and_the_others_on_their_own_engine(base: Artifact) -> None:
    page = replace(base, metadata=replace(base.metadata, format="web"))
    assert [select_engine(one, "web", beside=[page, base]) for one in (page, base)] == ["web", "auto"]
    assert select_engine(base, "web", beside=[base]) == "web"  # which refuses it
    assert select_engine(base, "onnxruntime", beside=[page, base]) == "onnxruntime"
