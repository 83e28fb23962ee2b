"""kill -9 at 20 random moments of a whole export: the target is absent, the old artifact or the new one, and whole.

One process imports the libraries; each export to be killed is a fork of it, so that the test takes seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from exporting import export

from edge_fm_export.sources import load_source
from edge_fm_export.targets import Target
from edge_fm_runtime.artifacts.artifact import load_artifact

MOMENTS = 20
_CHILD = """
import gc, os, random, signal, sys, time
from pathlib import Path

import numpy, onnx, onnxruntime, onnxslim, tensorflow, tf2onnx, keras
from tiny_models import tiny_set
from exporting import export
from edge_fm_export.sources import load_source
from edge_fm_export.targets import Target
from edge_fm_runtime.artifacts.artifact import load_artifact

gc.freeze()  # the collections of each export would copy and walk through all of it
run, out, moments = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])

def start(images):
    child = os.fork()
    if child == 0:
        test = tiny_set((28, 28, 1), images, seed=2)
        export(load_source(run), [Target("onnx", "fp32"), Target("savedmodel", "fp32")], out, test=test)
        os._exit(0)
    return child

def states():
    return [
        load_artifact(out / f"tiny-grey-{name}-fp32").metadata.parity["n"]
        for name in ("onnx", "savedmodel")
        if (out / f"tiny-grey-{name}-fp32").exists()
    ]

began = time.monotonic()
_, status = os.waitpid(start(40), 0)
assert status == 0, status
whole = time.monotonic() - began
draw = random.Random(0)
for moment in range(moments):
    child = start(41 + moment)
    if moment % 5 == 4:
        # Between the two artifacts: as soon as the first has changed places with the old one.
        while states()[0] != 41 + moment:
            time.sleep(0.001)
    else:
        time.sleep(draw.uniform(0.0, whole * 1.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print(moment, *states(), flush=True)
"""


@pytest.mark.slow
def test_kill_at_random_moments(tiny_runs: dict[str, Any], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(tiny_runs["grey"].folder), str(tmp_path), str(MOMENTS)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    seen = [[int(n) for n in line.split()] for line in done.stdout.splitlines()]
    assert [moment for moment, *_ in seen] == list(range(MOMENTS))
    for moment, *counts in seen:
        assert len(counts) == 2  # both were there before, and load_artifact checked every hash
        assert set(counts) <= set(range(40, 42 + moment))
    assert seen[4][1] == 45  # killed when its first artifact had just replaced the old one

    from tiny_models import tiny_set

    target = Target("onnx", "fp32")
    export(load_source(tiny_runs["grey"].folder), [target], tmp_path, test=tiny_set((28, 28, 1), 99, seed=2))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tiny-grey-onnx-fp32", "tiny-grey-savedmodel-fp32"]
    assert load_artifact(tmp_path / "tiny-grey-onnx-fp32").metadata.accuracy == {
        "value": 1.0,
        "n": 99,
        "dataset": "quadrants 2",
    }
