"""SIGINT and SIGTERM at random moments of every command: 130 or 143, no traceback, nothing left in scratch folders.

One process imports the libraries; each command that is signalled is a fork of it. `infer` is a process of its own too,
so that its imports are interrupted as well. `make signals` sends fifty signals to each command, which takes half an
hour; by default there are a few.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from signing_keys import make_key
from small_recipe import small_recipe
from tiny_models import TINY_LABELS

from edge_fm.cli import _COMMANDS, cli

MOMENTS = int(os.environ.get("EDGEFM_SIGNAL_MOMENTS", "2"))
LONGEST_S = 4.0
ENDS = {signal.SIGINT: 130, signal.SIGTERM: 143}
TRAIN = ["train", "--model", "lenet5", "--data", "images.npz", "--epochs", "3", "--batch-size", "16"]
EXPORT = "run/export/tiny-grey-onnx-fp32"
WITH_OUTPUTS = "run/with-outputs/tiny-grey-onnx-fp32"
COMMANDS: dict[str, list[str]] = {
    "train": [*TRAIN, "--quiet"],
    "search": ["search", "small.toml", "--data", "images.npz", "--out", "s"],
    "crossval": ["crossval", "small.toml", "--folds", "2", "--data", "images.npz", "--out", "c"],
    "sweep": ["sweep", "small.toml", "--grid", "training.epochs=1,2", "--data", "images.npz", "--out", "w"],
    "experiments": ["experiments"],
    "export": ["export", "run", "--format", "all", "--data", "images.npz", "--out", "out"],
    "infer": ["infer", "photos", "--model", EXPORT],
    "verify": ["verify", EXPORT],
    "evaluate": ["evaluate", EXPORT, "--data", "images.npz", "--report", "report"],
    "benchmark": ["benchmark", EXPORT, "--against", "none", "--duration", "0.5", "--out", "b"],
    "report": ["report", "measured/benchmark.json"],
    "autotune": ["autotune", EXPORT],
    "models": ["models"],
    "data": ["data", "show", "fashion-mnist-mini", "--out", "sheet.png"],
    "doctor": ["doctor"],
    "quickstart": ["quickstart"],
    "similar": ["similar", "photos/000.png", "photos", "--model", WITH_OUTPUTS],
    "drift": ["drift", WITH_OUTPUTS, "photos"],
    "serve": ["serve", EXPORT, "--port", "0"],
    "sign": ["sign", EXPORT, "--key", "signing.key"],
}
_SERVER = """
import gc, json, os, shutil, signal, sys, tempfile, time
import edge_fm_runtime  # first: it switches off usage reports, for which OpenVINO would start processes
import matplotlib.figure, numpy, onnx, onnxruntime, openvino, tensorflow, keras, tf2onnx, PIL.Image, rich.console
import edge_fm.__main__, edge_fm.cli

gc.freeze()  # the collections of each command would copy and walk through all of it

def start(arguments, folder):
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        os.chdir(folder)
        os.environ["TMPDIR"] = os.path.abspath("../tmp")
        tempfile.tempdir = None
        for number in (1, 2):
            os.dup2(os.open(f"../std{number}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.argv = ["edgefm", *arguments]
        try:
            edge_fm.__main__.main()
        except SystemExit as end:
            os._exit(end.code if isinstance(end.code, int) else 0 if end.code is None else 1)
    return child

def catches(child):
    caught = next(line for line in open(f"/proc/{child}/status") if line.startswith("SigCgt"))
    return int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1

for line in sys.stdin:
    arguments, folder, wait, number = json.loads(line)
    child = start(arguments, folder)
    status = 0
    if wait is not None:
        # The handler is in place once SIGTERM is caught: before, the process is not ours yet.
        while not catches(child):
            time.sleep(0.001)
        limit = time.monotonic() + wait
        done = 0
        while time.monotonic() < limit and not done:
            done, status = os.waitpid(child, os.WNOHANG)
            time.sleep(0.001)
        if not done:
            os.killpg(child, number)
            _, status = os.waitpid(child, 0)
    else:
        _, status = os.waitpid(child, 0)
    print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)
"""


@pytest.fixture(scope="module")
def place(
    tiny_runs: dict[str, Any], exported: Any, exported_with_outputs: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with a run, an artifact, photos and labelled images, which every attempt gets a copy of."""
    from edge_fm_export.targets import Target

    folder = tmp_path_factory.mktemp("place") / "template"
    shutil.copytree(tiny_runs["grey"].folder, folder / "run")
    shutil.copytree(exported("grey", Target("onnx", "fp32")).path, folder / EXPORT)
    shutil.copytree(exported_with_outputs("grey", Target("onnx", "fp32")).path, folder / WITH_OUTPUTS)
    draw = np.random.default_rng(0)
    (folder / "photos").mkdir()
    for number in range(200):
        pixels = draw.integers(0, 256, (60, 40), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{number:03}.png")
    images = draw.integers(0, 256, (80, 28, 28), dtype=np.uint8)
    labels = np.arange(80) % 4
    np.savez(folder / "images.npz", x_train=images, y_train=labels, x_test=images[:20], y_test=labels[:20])
    (folder / "labels.txt").write_text("\n".join(TINY_LABELS["grey"]) + "\n")
    (folder / "small.toml").write_text(small_recipe("fashion-mnist-mini", batch_size=16, trials=2))
    make_key(folder)
    measured = ["benchmark", str(folder / EXPORT), "--against", "none", "--duration", "0.05", "--engine", "null"]
    done = CliRunner().invoke(cli, [*measured, "--out", str(folder / "measured")])
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module", autouse=True)
def nothing_ignored() -> Any:
    """In the background of a shell SIGINT is ignored, and children would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def server() -> Any:
    command = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.stdin.close()


def check(code: int, sent: int, attempt: Path, what: str) -> None:
    said = (attempt / "std2").read_text()
    assert "Traceback" not in said, f"{what}\n{said}"
    assert code in (ENDS[sent], 0), f"{what} ended with {code}\n{said}"  # 0: it was done before
    scratch = sorted(path.name for path in (attempt / "tmp").iterdir())
    assert not scratch, f"{what} left {scratch}"
    hidden = [path for path in (attempt / "work").rglob(".*") if path.suffix != ".lock"]
    assert not hidden, f"{what} left {hidden}"


def fresh(attempt: Path, place: Path) -> None:
    shutil.rmtree(attempt, ignore_errors=True)
    (attempt / "tmp").mkdir(parents=True)
    shutil.copytree(place, attempt / "work")


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_at_any_moment(name: str, place: Path, server: Any, tmp_path: Path) -> None:
    draw = random.Random(name)
    attempt = tmp_path / "attempt"

    def run(wait: float | None, number: int) -> int:
        fresh(attempt, place)
        server.stdin.write(json.dumps([COMMANDS[name], str(attempt / "work"), wait, number]) + "\n")
        server.stdin.flush()
        return int(json.loads(server.stdout.readline()))

    began = time.monotonic()
    whole = run(LONGEST_S, signal.SIGKILL)
    took = time.monotonic() - began
    assert whole in (0, -signal.SIGKILL), (attempt / "std2").read_text()
    for moment in range(MOMENTS):
        sent = draw.choice(list(ENDS))
        after = draw.uniform(0, took)
        code = run(after, sent)
        check(code, sent, attempt, f"{name}: moment {moment}, {sent.name} after {after:.3f} s")


def test_every_command_is_signalled() -> None:
    assert set(COMMANDS) == set(_COMMANDS)


@pytest.mark.parametrize("arguments", [["photos/000.png"], ["photos"], ["photos", "--json", "--show", "shown"]])
def test_a_signal_while_infer_starts_works_or_ends(arguments: list[str], place: Path, tmp_path: Path) -> None:
    draw = random.Random(0)
    attempt = tmp_path / "attempt"
    command = [sys.executable, "-m", "edge_fm", "infer", *arguments, "--model", EXPORT]

    def run(wait: float, number: int) -> int:
        fresh(attempt, place)
        with (attempt / "std1").open("w") as out, (attempt / "std2").open("w") as said:
            environment = {**os.environ, "TMPDIR": str(attempt / "tmp"), "ORT_DISABLE_TELEMETRY": "1"}
            child = subprocess.Popen(
                command, cwd=attempt / "work", stdout=out, stderr=said, env=environment, process_group=0
            )
            while child.poll() is None and not _catches(child.pid):
                time.sleep(0.001)
            try:
                return child.wait(wait)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, number)
                return child.wait()

    began = time.monotonic()
    assert run(60, signal.SIGKILL) == 0, (attempt / "std2").read_text()
    took = time.monotonic() - began
    for moment in range(3 * MOMENTS):
        sent = draw.choice(list(ENDS))
        after = draw.uniform(0, took)
        check(run(after, sent), sent, attempt, f"moment {moment}, {sent.name} after {after:.3f} s")


def _catches(process: int) -> bool:
    """Whether the process has its handler for SIGTERM; before, the interpreter itself is starting."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return True
    caught = next((line for line in status.splitlines() if line.startswith("SigCgt")), "SigCgt 0")
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
