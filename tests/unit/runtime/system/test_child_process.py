"""Child processes import from where their parent does, and never from the current folder."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edge_fm
import edge_fm_export
import edge_fm_runtime
from edge_fm_runtime.system.child_process import child_command, import_path

EDGEFM = str(Path(sys.executable).with_name("edgefm"))
PLANTED = ("json", "numpy", "PIL", "encodings", "sitecustomize", "usercustomize", "struct", "onnxruntime", "edge_fm")


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A folder whose modules leave a file when they are imported, under names that a child would import."""
    folder = tmp_path / "planted"
    folder.mkdir()
    for name in PLANTED:
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write(__name__)\n")
    return folder


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_infer_benchmark_and_scenarios_run_nothing_of_the_current_folder(
    planted: Path, make_artifact: Callable[..., Path], tmp_path: Path
) -> None:
    pytest.importorskip("mlperf_loadgen")
    (planted / "photos").mkdir()
    for number in range(60):  # the first few dozen are decoded without child processes
        Image.new("L", (8, 8), number).save(planted / "photos" / f"{number}.png")
    images, labels = np.zeros((8, 4, 4, 1), np.uint8), np.arange(8) % 3
    np.savez(planted / "photos.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    (planted / "labels.txt").write_text("T-shirt/top\nAnkle boot\nBag\n")
    artifact = str(make_artifact())
    for arguments in (
        ("infer", "photos", "--model", artifact),
        ("benchmark", artifact, "--against", "none", "--duration", "0.05", "--skip", "photos"),
        ("benchmark", artifact, "--scenario", "offline", "--data", "photos.npz", "--duration", "0.05"),
    ):
        done = run(planted, EDGEFM, *arguments)
        assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("way", ["-c", "-m", "PYTHONPATH"])
def test_a_parent_that_searches_the_current_folder_does_not_pass_it_on(planted: Path, tmp_path: Path, way: str) -> None:
    (planted / "parent.py").write_text(
        "import sys, subprocess\n"
        f"sys.path += {[p for p in import_path()]!r}\n"
        "from edge_fm_runtime.system.child_process import child_command\n"
        "sys.exit(subprocess.run(child_command('edge_fm_runtime.measurement.probe')).returncode and 7)\n"
    )
    for name in PLANTED:  # the parent itself must start
        if name != "numpy":
            (planted / f"{name}.py").unlink()
    ways = {"-c": ("-c", "import parent"), "-m": ("-m", "parent"), "PYTHONPATH": ("parent.py",)}
    done = run(planted, sys.executable, *ways[way], PYTHONPATH=os.curdir if way == "PYTHONPATH" else "")
    assert done.returncode == 7 and "not enough values to unpack" in done.stderr  # it ran: no arguments were given
    assert not (tmp_path / "ran").exists()


def test_the_path_is_absolute_and_holds_every_package_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), *sys.path, "relative"])
    path = import_path()
    assert str(tmp_path) not in path and str(tmp_path / "relative") in path
    assert all(Path(entry).is_absolute() for entry in path)
    for package in (edge_fm, edge_fm_export, edge_fm_runtime):
        assert str(Path(str(package.__file__)).resolve().parents[1]) in path
    # Where EdgeFM itself lies in the current folder, as in a clone, it is still found.
    clone = Path(str(edge_fm.__file__)).resolve().parents[1]
    monkeypatch.chdir(clone)
    assert str(clone) in import_path()


def test_a_child_writes_byte_code_where_its_parent_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert "-B" in child_command("edge_fm_runtime.measurement.probe")
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert "-B" not in child_command("edge_fm_runtime.measurement.probe")
    assert (
        json.loads(child_command("edge_fm_runtime.measurement.probe", "x")[-2])[1]
        == "edge_fm_runtime.measurement.probe"
    )


def test_no_other_place_starts_python() -> None:
    found = []
    for package in (edge_fm, edge_fm_export, edge_fm_runtime):
        folder = Path(str(package.__file__)).parent
        for file in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.executable":
                    found.append(f"{package.__name__}/{file.relative_to(folder)}")
    # The probe names it in a hint, for a person.
    assert sorted(set(found)) == ["edge_fm_runtime/measurement/probe.py", "edge_fm_runtime/system/child_process.py"]
