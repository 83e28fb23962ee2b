"""No command and no API call connects to anything or writes outside the project, what was named, and our own cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from _pytest.mark import ParameterSet
from PIL import Image
from signing_keys import make_key
from small_recipe import small_recipe

EDGEFM = str(Path(sys.executable).with_name("edgefm"))
_STRACE = ("strace", "-f", "-qq", "-y", "--seccomp-bpf", "-s", "4096", "-e")
_CALLS = "trace=connect,sendto,sendmsg,sendmmsg,openat,openat2,open,creat,mkdir,mkdirat,rename,renameat,renameat2"
_CONNECTS = re.compile(r"\b(?:connect|sendto|sendmsg|sendmmsg)\(.*AF_INET")
_OPENED = re.compile(r"\b(?:open|openat|openat2|creat)\(.*(?:O_WRONLY|O_RDWR|O_CREAT).* = \d+<([^>]*)>")
_MADE = re.compile(r"\b(?:mkdir|mkdirat|rename|renameat|renameat2)\(.*\"([^\"]*)\"[^\"]*\) = 0")


def _strace_works() -> bool:
    if shutil.which("strace") is None:
        return False
    done = subprocess.run([*_STRACE, _CALLS, "-o", os.devnull, "true"], capture_output=True, check=False)
    return done.returncode == 0


needs_strace = pytest.mark.skipif(not _strace_works(), reason="strace is not installed, or may not trace here")


class Place:
    """A user of our own: a home, a scratch folder and a project, all empty."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home, self.scratch, self.project = (root / name for name in ("home", "scratch", "project"))
        for folder in (self.home, self.scratch, self.project):
            folder.mkdir()
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
            **{"HOME": str(self.home), "TMPDIR": str(self.scratch), "PYTHONDONTWRITEBYTECODE": "1"},
            **{"OMP_NUM_THREADS": "1"},
        }

    def run(self, *command: str, code: int = 0) -> str:
        """Run a command in the project; its stderr must not speak of folders or connections that failed."""
        done = subprocess.run(
            command, cwd=self.project, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr

    def traced(self, *command: str) -> str:
        """Run a command under strace and return the system calls that connected or wrote elsewhere, one a line."""
        trace = self.root / "trace"
        self.run(*_STRACE, _CALLS, "-o", str(trace), *command)
        allowed = [self.project, self.scratch, self.home / ".cache" / "edgefm", Path("/dev"), Path("/proc")]
        found = []
        for line in trace.read_text(errors="replace").splitlines():
            written = _OPENED.search(line) or _MADE.search(line)
            path = None if written is None else self.project / written[1]
            elsewhere = path is not None and not any(path.is_relative_to(folder) for folder in allowed)
            if elsewhere and path == self.home / ".cache":
                continue
            if elsewhere or _CONNECTS.search(line):
                found.append(line)
        return "\n".join(found)

    def left(self) -> list[str]:
        """Files in the home folder and the scratch folder."""
        files = [p for folder in (self.home, self.scratch) for p in folder.rglob("*") if p.is_file()]
        return sorted(str(p.relative_to(self.root)) for p in files)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    photos = made.project / "photos"
    photos.mkdir()
    random = np.random.default_rng(0)
    for number in range(60):  # enough for the processes that decode beside the first ones
        Image.fromarray(random.integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(photos / f"{number}.png")
    return made


def test_infer_leaves_nothing_in_a_home_folder(place: Place) -> None:
    place.run(EDGEFM, "infer", "photos/0.png")
    place.run(EDGEFM, "verify")
    assert place.left() == []


def test_a_home_folder_that_cannot_be_written_is_not_spoken_of(place: Place) -> None:
    place.environment["HOME"] = "/proc/nowhere"
    assert place.run(EDGEFM, "infer", "--quiet", "photos/0.png") == ""


_UNTESTED = {"data fetch", "serve"}
"""What uses the network, because that is what it is for: `serve` listens; its function is called below."""
_DEVICE = [
    ("infer", "photos/0.png"),
    ("infer", "photos", "--json"),
    ("infer", "photos", "--out", "results", "--shard", "1/2"),
    pytest.param(("infer", "photos", "--engine", "openvino"), marks=pytest.mark.needs("openvino")),
    ("verify",),
    pytest.param(("verify", "--engine", "openvino"), marks=pytest.mark.needs("openvino")),
    ("doctor",),
    ("models",),
    ("experiments",),
    ("data", "info", "fashion-mnist-mini"),
    ("--help",),
]


@needs_strace
@pytest.mark.parametrize("arguments", _DEVICE, ids=" ".join)
def test_a_command_of_the_device_connects_to_nothing(place: Place, arguments: tuple[str, ...]) -> None:
    assert place.traced(EDGEFM, *arguments) == ""
    assert [name for name in place.left() if "/.cache/edgefm/" not in name] == []


_WORKSHOP = """
import sys
from edge_fm.cli import cli
from edge_fm_runtime.system.garbage_collection import set_own_process
from edge_fm.api import quickstart
set_own_process()  # as the program does
quickstart._DURATION_S = 0.02  # 16 ways to run are measured, and nobody reads how long they take
for line in open(sys.argv[1]).read().splitlines():
    print("edgefm", line, file=sys.stderr, flush=True)
    cli.main(line.split(), standalone_mode=False)
"""
_ONE = "runs/quickstart/export/edgenet-s"
_COMMANDS = f"""\
quickstart --epochs 1 --out runs/quickstart --quiet
train --recipe small.toml --out runs/lenet5 --quiet
search small.toml --trials 1 --out runs/search --quiet
crossval small.toml --folds 2 --out runs/crossval --quiet
sweep small.toml --grid optimizer.learning_rate=1e-3 --out runs/sweep --quiet
export runs/lenet5 --outputs embedding --quiet
similar photos/0.png photos --model runs/lenet5/export/lenet5-onnx-fp32 --quiet
drift runs/lenet5/export/lenet5-onnx-fp32 photos --quiet
evaluate runs/lenet5 --report report --quiet
verify {_ONE}-litert-int8 --quiet
verify {_ONE}-openvino-int8 --against runs/quickstart --quiet
infer photos --model {_ONE}-litert-fp32 --quiet
autotune --allow-load {_ONE}-onnx-fp32 {_ONE}-openvino-fp32 --max-drop 100 --duration 0.02 --quiet
benchmark {_ONE}-onnx-fp32 --against none --duration 0.05 --skip starts --profile --out bench --quiet
benchmark {_ONE}-onnx-fp32 --scenario offline --duration 0.05 --quiet
report bench/benchmark.json --quiet
sign {_ONE}-onnx-fp32 --key signing.key --quiet
data show data.npz --quiet
"""
"""Quickstart exports every format and precision."""


def _make_data(place: Place) -> None:
    """Two classes of tiny images, and a recipe that learns them in a second."""
    from tiny_models import tiny_images

    images, labels = tiny_images((28, 28, 1), 600, seed=0)
    np.savez(
        place.project / "data.npz", x_train=images[:500], y_train=labels[:500], x_test=images[500:], y_test=labels[500:]
    )
    (place.project / "small.toml").write_text(small_recipe("data.npz", batch_size=64, trials=1))
    make_key(place.project)


@needs_strace
@pytest.mark.slow
@pytest.mark.needs("tensorflow", "openvino", "nncf", "optuna", "mlperf_loadgen", "cryptography")
def test_the_whole_way_connects_to_nothing(place: Place) -> None:
    _make_data(place)
    (place.project / "commands").write_text(_COMMANDS)
    assert place.traced(sys.executable, "-c", _WORKSHOP, "commands") == ""
    assert [name for name in place.left() if "/.cache/edgefm/" not in name] == []


def test_every_command_is_tried() -> None:
    from edge_fm.cli import cli

    context = click.Context(cli)
    names: set[str] = set()
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        inner = command.list_commands(context) if isinstance(command, click.Group) else ()
        names |= {f"{name} {one}" for one in inner} or {name}
    tried = [line.split() for line in _COMMANDS.splitlines()]
    tried += [list(one.values[0] if isinstance(one, ParameterSet) else one) for one in _DEVICE]
    words = {" ".join(line[:2]) if line[0] == "data" else line[0] for line in tried} - {"--help"}
    assert names - _UNTESTED == words


_API = """
import inspect, sys, threading, time
stopped = threading.Event()
stopped.set()
started = time.monotonic()
import edge_fm
from edge_fm import *

quick = {"duration_s": 0.05, "skip": ["starts", "streams", "photos", "bare"]}
called = {
    "list_models": lambda: list_models(),
    "plot_models": lambda: plot_models("models.png"),
    "examine_machine": lambda: examine_machine(),
    "describe_data": lambda: describe_data("data.npz"),
    "draw_data": lambda: draw_data("data.npz", out="sheet.png"),
    "prepare_training": lambda: prepare_training("small.toml", out="runs/prepared"),
    "train_prepared": lambda: train_prepared(kept["prepare_training"], Path("runs/prepared")),
    "train": lambda: train("small.toml", out="runs/lenet5", options=TrainOptions(seed=1)),
    "plan_export": lambda: plan_export("runs/lenet5", ["all"], ["all"]),
    "export": lambda: export(
        "runs/lenet5", ["onnx", "litert"], ["fp32"], options=ExportOptions(outputs=["embedding"])
    ),
    "similar": lambda: similar("photos/0.png", "photos", "runs/lenet5/export/lenet5-litert-fp32"),
    "drift": lambda: drift("runs/lenet5/export/lenet5-litert-fp32", "photos"),
    "verify": lambda: verify("runs/lenet5/export/lenet5-onnx-fp32", against="runs/lenet5"),
    "evaluate": lambda: evaluate("runs/lenet5", report="report"),
    "classify": lambda: list(classify("photos/0.png", "runs/lenet5/export/lenet5-litert-fp32")),
    "classify_video": lambda: list(classify_video("clip.mp4", "runs/lenet5/export/lenet5-onnx-fp32")),
    "classify_to_files": lambda: classify_to_files("photos", "results", "runs/lenet5/export/lenet5-onnx-fp32"),
    "benchmark": lambda: benchmark(["runs/lenet5/export/lenet5-onnx-fp32"], against="none", out="bench", **quick),
    "benchmark_scenarios": lambda: benchmark_scenarios(
        ["runs/lenet5/export/lenet5-onnx-fp32"], ["offline"], duration_s=0.05
    ),
    "benchmark_report": lambda: benchmark_report(Path("bench")),
    "autotune": lambda: autotune(
        ["runs/lenet5/export/lenet5-onnx-fp32"], max_drop=100, duration_s=0.02, allow_load=True
    ),
    "search": lambda: search("small.toml", trials=1, out="runs/search"),
    "crossval": lambda: crossval("small.toml", folds=2, out="runs/crossval"),
    "sweep": lambda: sweep({"optimizer.learning_rate": [1e-3]}, "small.toml", out="runs/sweep"),
    "run_experiments": lambda: run_experiments(report=Path("experiments")),
    "pair_classes": lambda: pair_classes(Path("runs/lenet5")),
    "serve": lambda: serve("runs/lenet5/export/lenet5-onnx-fp32", options=ServeOptions(port=0), stop=stopped),
    "write_model_repository": lambda: write_model_repository("runs/lenet5/export/lenet5-onnx-fp32", "triton", "models"),
    "sign": lambda: sign("runs/lenet5/export/lenet5-onnx-fp32", "signing.key"),
    "required_signature": lambda: verify_signed("runs/lenet5/export/lenet5-onnx-fp32"),
}
def verify_signed(artifact):
    with required_signature("signing.pub"):
        return verify(artifact)
functions = {name for name in edge_fm.__all__ if inspect.isfunction(getattr(edge_fm, name))}
tried_elsewhere = {"fetch_data", "quickstart"}  # that is for the network; this is called by its command above
assert {*called} == functions - tried_elsewhere, functions ^ {*called}
from pathlib import Path

kept = {}
for name, call in called.items():
    kept[name] = call()

from edge_fm_export.compat.tensorflow_setup import require_tensorflow
from edge_fm.training.search.search_study import require_optuna
name = "edgenet-s-onnx-int8"
with Classifier.load(name) as one, Classifier.load(name, engine="openvino") as other:
    assert one.classify("photos/0.png").label == other.classify("photos/0.png").label
tf, keras = require_tensorflow("a test")
keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).predict(tf.zeros((1, 4)), verbose=0)
require_optuna().create_study().optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
import ai_edge_litert.interpreter, ai_edge_quantizer, nncf, onnxruntime.quantization, onnxslim, tf2onnx
assert sys.modules.get("openvino_telemetry") is None
time.sleep(max(0, 20 - (time.monotonic() - started)))  # some report only after a while
"""


@needs_strace
@pytest.mark.slow
@pytest.mark.needs("tensorflow", "openvino", "nncf", "optuna", "mlperf_loadgen", "cryptography", "av")
def test_every_function_of_the_api_and_every_library_connect_to_nothing_for_twenty_seconds(place: Place) -> None:
    from video_clips import make_clip

    _make_data(place)
    make_clip(place.project / "clip.mp4", 3)
    assert place.traced(sys.executable, "-W", "ignore", "-c", _API) == ""
    assert [name for name in place.left() if "/.cache/edgefm/" not in name] == []
