"""An export from Python prints nothing of the libraries that it uses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_QUIET = """
import sys
from pathlib import Path

from tiny_models import tiny_set
from exporting import export
from edge_fm_export.sources import load_source
from edge_fm_export.targets import parse_targets

source = load_source(sys.argv[1], labels=["a", "b", "c", "d"])
export(source, parse_targets("savedmodel,onnx,openvino"), sys.argv[2], test=tiny_set((28, 28, 1), 40, seed=1))
"""


def test_an_export_keeps_the_libraries_quiet(tiny_runs: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "mine.keras"
    file.write_bytes(tiny_runs["grey"].file.read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", _QUIET, str(file), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
