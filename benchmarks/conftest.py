"""One small run with its exports, shared by all suites, and the machine in every result."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EDGEFM = Path(sys.executable).with_name("edgefm")


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """edgenet-s after one epoch on the mini set: what a model costs does not depend on how well it was trained."""
    folder = tmp_path_factory.mktemp("bench")
    small = ["--data", "fashion-mnist-mini", "--epochs", "1", "--out", str(folder / "run"), "--quiet"]
    subprocess.run([EDGEFM, "train", *small], check=True, stdout=subprocess.DEVNULL)
    formats = ["--format", "onnx", "--format", "openvino", "--format", "savedmodel"]
    subprocess.run([EDGEFM, "export", str(folder / "run"), *formats, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    return folder / "run"


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Put our own account of the machine and the versions beside pytest-benchmark's."""
    from edge_fm.evaluation.benchmark import environment

    machine_info["edgefm"] = environment()
