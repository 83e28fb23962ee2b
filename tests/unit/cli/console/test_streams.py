"""stdout full, closed or read no further, stderr not there: an exit code and a line, never a traceback."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

EDGEFM = [sys.executable, "-m", "edge_fm"]


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which `edgefm` is the command line of this tree."""
    script = f'edgefm() {{ "{sys.executable}" -m edge_fm "$@"; }}\n{command}'
    return subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path, artifact_folder: Path) -> Path:
    for number in range(80):
        Image.new("L", (4, 4)).save(tmp_path / f"{number}.png")
    return tmp_path


def quiet_end(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr, done.stderr
    for word in words:
        assert word in done.stderr


INFER = "edgefm infer . --model tiny-onnx-fp32"


@pytest.mark.parametrize(
    "command",
    [
        INFER,
        f"{INFER} --csv",
        f"{INFER} --json",
        "edgefm models",
        "edgefm doctor --json",
        "edgefm --help",
        "edgefm -h infer",
    ],
)
def test_a_full_stdout_is_one_error(folder: Path, command: str) -> None:
    done = shell(f"{command} > /dev/full", folder)
    assert done.returncode == 1
    quiet_end(done, "Error: stdout: No space left on device.")


@pytest.mark.parametrize("command", [INFER, "edgefm models", "edgefm models --json"])
def test_a_closed_stdout_is_one_error(folder: Path, command: str) -> None:
    done = shell(f"{command} >&-", folder)
    assert done.returncode == 1
    quiet_end(done, "Error: stdout is closed")


def test_a_reader_that_has_seen_enough_is_no_error(folder: Path) -> None:
    done = shell(f"set -o pipefail; {INFER} --quiet | true", folder)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full", "2> >(true)"])
def test_results_do_not_need_stderr(folder: Path, where: str) -> None:
    done = shell(f"{INFER} --json absent.png {where}", folder)
    assert done.returncode == 4
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 81


def test_a_closed_stdin_lists_nothing(folder: Path) -> None:
    done = shell("edgefm infer - --model tiny-onnx-fp32 <&-", folder)
    assert done.returncode == 1
    quiet_end(done, "Found no photo in -")


def test_a_terminal_that_cannot_write_the_label_gets_it_escaped(folder: Path) -> None:
    name = "é\u20ac\ud83e.png".encode("utf-8", "surrogatepass").decode(errors="surrogateescape")
    (folder / "0.png").rename(os.path.join(folder, name))  # noqa: PTH118  # pathlib would do as well
    done = shell(f"PYTHONIOENCODING=ascii PYTHONUTF8=0 LC_ALL=C {INFER}", folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "arguments", [["ex\x1b[31mport"], ["infer", "--\x1b[31m"], ["infer", "x", "--model", "\x1b[2J"]]
)
def test_what_was_typed_comes_back_without_control_characters(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run([*EDGEFM, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert "\x1b" not in done.stderr and "\\x1b" in done.stderr


def limited(*arguments: str, folder: Path, size: int) -> subprocess.CompletedProcess[str]:
    """Run a command that may write no file larger than `size`, as on a disk that is full."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return subprocess.run(
        [*EDGEFM, *arguments], cwd=folder, capture_output=True, text=True, check=False, preexec_fn=limit
    )


def test_images_that_cannot_be_written_are_one_error(folder: Path) -> None:
    done = limited("infer", "0.png", "--model", "tiny-onnx-fp32", "--show", "shown", folder=folder, size=64)
    assert done.returncode == 1
    quiet_end(done, "Error: ", "File too large")
    assert list((folder / "shown").iterdir()) == []  # nor half of one left


def test_images_replace_links_and_do_not_write_through_them(folder: Path) -> None:
    (folder / "mine").write_text("precious")
    (folder / "shown").mkdir()
    (folder / "shown" / "00000-0.png").symlink_to(folder / "mine")
    done = shell("edgefm infer 0.png --model tiny-onnx-fp32 --show shown", folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "mine").read_text() == "precious"
    with Image.open(folder / "shown" / "00000-0.png") as shown:
        assert shown.size == (280, 280)


LONG = ["x" * 100_000, "x y " * 25_000]


@pytest.mark.parametrize("long", LONG, ids=["one word", "words"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["infer"],
        ["infer", "0.png", "--model"],
        ["infer", "0.png", "--engine"],
        ["infer", "--recursive", "0.png"],
        ["verify"],
        ["benchmark"],
        ["report"],
        ["data", "info"],
        [],
    ],
    ids=" ".join,
)
def test_what_a_person_reads_is_never_endless(
    folder: Path, arguments: list[str], long: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name of 100,000 characters would push everything else off the screen."""
    from click.testing import CliRunner

    from edge_fm.cli import cli

    monkeypatch.chdir(folder)
    for last in (long, f"--{long}"):
        done = CliRunner().invoke(cli, [*arguments, last])
        assert done.exit_code in (1, 2, 4)
        assert done.output and len(done.output) < 10_000


def test_a_program_reads_the_whole_name(folder: Path) -> None:
    """JSON and CSV keep it; so does the command that is to be pasted."""
    import csv

    long = "x" * 100_000
    for arguments in (["--json"], ["--csv"]):
        command = [*EDGEFM, "infer", long, *arguments, "--model", "tiny-onnx-fp32"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        rows = done.stdout.splitlines()
        limit = csv.field_size_limit(200_000)
        found = json.loads(rows[0]) if arguments == ["--json"] else next(csv.DictReader(rows))
        csv.field_size_limit(limit)
        assert found["input"] == long and len(done.stderr) < 10_000


def test_a_long_label_is_cut_for_a_person_alone(capsys: pytest.CaptureFixture[str]) -> None:
    from edge_fm.cli.console.console import Console, print_line, print_table
    from edge_fm.cli.console.infer_rows import json_row, text_row
    from edge_fm_runtime.classification import Classification, Prediction

    label = "x" * 100_000
    classified = Classification(f"{label}.png", (Prediction(label, 0, 1.0),), 1.0, 1.0)
    assert len(text_row(classified)) < 2_000
    assert json.loads(json_row(classified))["label"] == label
    print_table(label, ["name", label], [[label, label]])
    print_line(label)
    Console().note(label)
    Console().warn(label)
    printed = capsys.readouterr()
    assert len(printed.out) + len(printed.err) < 10_000
    Console().next(f"edgefm infer {label}")
    assert label in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    [b"my photos", b"two\nlines", b"it's\n", b"\\\n", b"\x1b[31m", b"\xff", "\x85\u202e\u200b".encode(), b"$(ls)\t"],
)
def test_a_path_in_a_command_is_the_path_when_it_is_pasted(name: bytes) -> None:
    from edge_fm.cli.console.console import shell_word

    word = shell_word(os.fsdecode(name))
    assert word.isprintable()
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True, env=environment)
    assert done.stdout == name
