"""What starting costs: one photo in a whole process, and imports, each beside the least that does the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import against
from benchmarks.model import EDGEFM
from benchmarks.startup.cold_start import BARE, MAKE_PHOTO, run_once
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.system.machine import usable_cpus

ROUNDS = 11
IMPORTS = {
    "edge_fm_runtime": ("import edge_fm_runtime", "import numpy, PIL.Image"),
    "edge_fm.cli": ("from edge_fm.cli import cli", "import click"),
    "edge_fm_runtime, onnxruntime": (
        "import edge_fm_runtime, onnxruntime",
        "import numpy, PIL.Image, onnxruntime",
    ),
}
"""Name -> ours and bare."""


def test_cold_start(benchmark: Any, onnx_artifact: Path, tmp_path: Path) -> None:
    photo, script = tmp_path / "photo.jpg", tmp_path / "bare.py"
    subprocess.run([sys.executable, "-c", MAKE_PHOTO, str(photo)], check=True)
    script.write_text(BARE)
    payload = load_artifact(onnx_artifact).payload
    ours = [str(EDGEFM), "infer", str(photo), "--model", str(onnx_artifact)]
    bare = [sys.executable, str(script), str(payload), str(photo), str(usable_cpus())]
    benchmark.group = "cold start, one photo"
    benchmark.extra_info.update(engine="onnxruntime", precision="fp32", threads=usable_cpus(), batch=1)
    benchmark.pedantic(run_once, args=(ours,), rounds=3, warmup_rounds=1)
    compared = against.slow(lambda: run_once(ours), lambda: run_once(bare), "bare onnxruntime script", rounds=ROUNDS)
    benchmark.extra_info["against"] = compared


@pytest.mark.parametrize("name", IMPORTS)
def test_import(benchmark: Any, name: str) -> None:
    ours, bare = ([sys.executable, "-c", code] for code in IMPORTS[name])
    benchmark.group = "import"
    benchmark.extra_info.update(code=IMPORTS[name][0])
    benchmark.pedantic(run_once, args=(ours,), rounds=3, warmup_rounds=1)
    compared = against.slow(lambda: run_once(ours), lambda: run_once(bare), IMPORTS[name][1], rounds=ROUNDS)
    benchmark.extra_info["against"] = compared
