"""SIGINT and SIGTERM while Ray starts: the exit code of other commands, no process and no file of Ray's left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.needs("ray", "fsspec", "pyarrow")
ENDS = {signal.SIGINT: 130, signal.SIGTERM: 143}
_SCRIPT = """
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a parent may have let ignore
sys.path[:0] = [""]
place, after, number, *sys.argv[1:] = sys.argv[1:]

def signalled(function):
    def call(*given, **more):
        threading.Timer(float(after), os.kill, (os.getpid(), int(number))).start()
        return function(*given, **more)
    return call

import edge_fm.scale.ray_session as session
start = session._start
def begin(ray, *given):
    import ray._private.node, ray._private.worker
    if place == "core":
        ray._private.worker.connect = signalled(ray._private.worker.connect)
    else:
        ray._private.node.Node.start_ray_processes = signalled(ray._private.node.Node.start_ray_processes)
    start(ray, *given)
session._start = begin
from edge_fm.__main__ import main
main()
"""


def processes_of(folder: str) -> list[str]:
    """Processes whose Ray has its files below a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"RAY_TMPDIR={folder}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found


def test_rays_core_leaves_sigterm_to_this_process() -> None:
    """Its handler would be installed in the middle of the start, print a stack, and abort."""
    script = """if True:
        from edge_fm.scale.ray_session import require_ray
        require_ray()
        from ray._private.ray_constants import RAY_DISABLE_FAILURE_SIGNAL_HANDLER
        assert RAY_DISABLE_FAILURE_SIGNAL_HANDLER
    """
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "after", "number"),
    [
        ("processes", 0.1, signal.SIGTERM),
        ("core", 0.5, signal.SIGTERM),
        ("core", 0.05, signal.SIGINT),
    ],
)
def test_a_signal_while_ray_starts(place: str, after: float, number: signal.Signals, tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    infer = ["infer", "a.png", "--model", "edgenet-s-onnx-int8", "--out", "out", "--on", "ray", "--workers", "1"]
    with tempfile.TemporaryDirectory(prefix="s") as scratch:  # the names of Ray's sockets must not be long
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT, place, str(after), str(int(number)), *infer],
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": scratch},
            capture_output=True,
            text=True,
            check=False,
        )
        left = processes_of(scratch), [path.name for path in Path(scratch).iterdir()]
    if "Ray cannot be started here" in done.stderr:
        pytest.skip("Ray could not be started on this machine, as where it has too much to do")
    assert done.returncode in (ENDS[number], 0), done.stderr  # 0: it was done before
    assert "Traceback" not in done.stderr and "SIGTERM received" not in done.stderr
    assert left == ([], [])
    assert done.returncode == 0 or not (tmp_path / "out").exists()
