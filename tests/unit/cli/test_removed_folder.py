"""The current folder was removed while a shell stood in it: what does not need it works, the rest says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def run_in_removed(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    gone = folder / "gone"
    gone.mkdir()
    script = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
    command = ["bash", "-c", script, "bash", str(gone), sys.executable, "-m", "edge_fm", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["doctor"], 0, "none, as the current folder no longer exists"),
        (["verify", "edgenet-s-onnx-int8"], 0, "PASSED"),
        (["benchmark", "edgenet-s-onnx-int8", "--against", "none", "--duration", "0.05"], 0, "edgenet-s-onnx-int8"),
        (["infer", "."], 1, "Found no photo in ."),
        (["infer", "photo.jpg"], 1, "photo.jpg does not exist"),
        (["data", "show", "fashion-mnist-mini"], 1, "contact-sheet.png"),
        pytest.param(["report"], 1, "no benchmark.json", marks=pytest.mark.needs("jinja2")),
    ],
)
def test_a_removed_current_folder_is_no_traceback(tmp_path: Path, arguments: list[str], code: int, words: str) -> None:
    done = run_in_removed(tmp_path, *arguments)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stderr
    assert words in done.stdout + done.stderr


def test_a_library_that_asks_for_the_folder_ends_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from edge_fm.api import doctor
    from edge_fm.cli import cli

    monkeypatch.setattr(doctor, "examine_machine", Path.cwd)
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    done = CliRunner().invoke(cli, ["doctor"])
    assert (done.exit_code, done.output) == (1, "Error: The current folder no longer exists.\nGo to another: cd\n")
