"""The run that all suites measure, and the machine in every result."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.model import make_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`$EDGEFM_BENCH_RUN`, or a run made for this session."""
    given = os.environ.get("EDGEFM_BENCH_RUN")
    return Path(given).resolve() if given else make_run(tmp_path_factory.mktemp("bench") / "run")


@pytest.fixture(scope="session")
def onnx_artifact(run: Path) -> Path:
    """The fp32 ONNX artifact of the run."""
    (folder,) = (run / "export").glob("*-onnx-fp32")
    return folder


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Put our own account of the machine and the versions beside pytest-benchmark's."""
    from edge_fm.evaluation.benchmark.benchmark import environment

    machine_info["edgefm"] = environment()
