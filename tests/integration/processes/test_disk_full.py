"""No room for a file, in every command that writes one: an error that names the file, and nothing half written beside.

A limit on the size of files stands in for the full disk. One process imports the libraries, each command is a fork.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.needs("tensorflow", "matplotlib", "optuna")

_CHILD = """
import gc, json, os, resource, sys
import matplotlib.figure, numpy, tensorflow, keras
import edge_fm.__main__, edge_fm.cli

gc.freeze()  # the collections of each command would copy and walk through all of it

for arguments, limit in json.loads(sys.argv[1]):
    source, sent = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(sent, 2)
        os.close(sent)
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        sys.argv = ["edgefm", *arguments]
        try:
            edge_fm.__main__.main()
        except SystemExit as end:
            os._exit(end.code if isinstance(end.code, int) else 0)
    os.close(sent)
    with os.fdopen(source, errors="replace") as stream:
        said = stream.read()
    _, status = os.waitpid(child, 0)
    print(json.dumps([os.waitstatus_to_exitcode(status), said]), flush=True)
"""
TRAIN = ["train", "--model", "lenet5", "--data", "images.npz", "--epochs", "1", "--batch-size", "16", "--quiet"]
COMMANDS: list[tuple[list[str], int, str]] = [
    ([*TRAIN, "--out", "run"], 0, ""),
    ([*TRAIN, "--out", "a"], 500, "a/recipe.toml"),
    ([*TRAIN, "--out", "b"], 20_000, "b/checkpoint"),
    (["evaluate", "run", "--data", "images.npz", "--report", "c"], 500, "c/evaluation.json"),
    (["evaluate", "run", "--data", "images.npz", "--report", "d"], 8_000, "d/"),
    (["data", "show", "images.npz", "--out", "e.png"], 500, "e.png"),
    (["models", "--plot", "f.png"], 500, "f.png"),
    (["sweep", "--grid", "training.epochs=1", "--data", "images.npz", "--out", "g"], 500, "g/"),
]


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, str]]]:
    """The folder, and of each command its exit code and what it said."""
    folder = tmp_path_factory.mktemp("full")
    draw = np.random.default_rng(0)
    images, labels = draw.integers(0, 256, (80, 28, 28), dtype=np.uint8), np.arange(80) % 4
    np.savez(folder / "images.npz", x_train=images, y_train=labels, x_test=images[:20], y_test=labels[:20])
    asked = json.dumps([(arguments, limit) for arguments, limit, _ in COMMANDS])
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, asked], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("number", range(len(COMMANDS)))
def test_the_error_names_the_file(ends: tuple[Path, list[tuple[int, str]]], number: int) -> None:
    folder, done = ends
    arguments, limit, named = COMMANDS[number]
    code, said = done[number]
    assert code == (1 if limit else 0), said
    assert "Traceback" not in said
    assert not limit or (f"Error: {named}" in said and "File too large." in said), said
    left = [path for path in folder.rglob(".*") if path.suffix == ".tmp" or ".tmp." in path.name]
    assert not left, f"{arguments} left {left}"
