"""What a person types wrongly: each ends with a message and a way out, none with a traceback or a changed `latest`."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_fm.cli import cli
from edge_fm.cli.console.console import shell_word


def test_resuming_nothing_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["train", "--resume", "--out", "nowhere"])
    assert result.exit_code == 1
    assert "There is no run to resume in nowhere" in result.stderr


@pytest.mark.needs("tensorflow")
def test_weights_that_do_not_exist_leave_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["train", "--data", "fashion-mnist-mini", "--weights", "missing.h5"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 1
    assert "missing.h5" in result.stderr
    assert not list(Path("runs").iterdir())


def test_a_target_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "sheet.png"
    result = CliRunner().invoke(cli, ["data", "show", "fashion-mnist-mini", "--out", str(out)])
    assert result.exit_code == 1
    assert str(tmp_path / "file") in result.stderr


def test_a_data_folder_that_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGEFM_DATA", str(tmp_path / "file"))
    result = CliRunner().invoke(cli, ["data", "info", "fashion-mnist"])
    assert result.exit_code == 1
    assert "EDGEFM_DATA" in result.stderr


def test_suggested_commands_can_be_pasted() -> None:
    assert shell_word(Path("my runs/T-shirt")) == "'my runs/T-shirt'"


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize(
    ("setting", "code", "says"),
    [
        ("training.emaa=0.9", 1, "Did you mean 'ema'?"),
        ("training.ema=much", 1, "must be a number"),
        ("trainin.ema=0.9", 1, "Did you mean 'training'?"),
        ("distillation.teacher=runs/none", 1, "no file or folder"),
        ('data.classes=["Bag", "Sneakers"]', 1, "Did you mean 'Sneaker'?"),
        ("ema", 2, "is not NAME=VALUE"),
    ],
)
def test_settings_that_cannot_be(
    setting: str, code: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["train", "--data", "fashion-mnist-mini", "--set", setting])
    assert (result.exit_code, says in result.stderr) == (code, True), result.stderr
    assert not list(Path().glob("runs/*"))


@pytest.mark.needs("tensorflow")
def test_a_run_is_not_written_among_other_files(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    result = CliRunner().invoke(cli, ["train", "--data", "fashion-mnist-mini", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "is not empty, and holds no run: thesis.tex" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--out", ""],
        ["train", "--data", ""],
        ["export", ""],
        ["infer", "photo.png", "--model", ""],
        ["verify", ""],
        ["data", "info", ""],
        ["evaluate", "runs/a", "--report", ""],
    ],
)
def test_an_empty_argument_is_not_the_current_folder(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert f"The argument after {arguments[arguments.index('') - 1]!r} is empty" in result.stderr
    assert not list(tmp_path.iterdir())


def test_an_empty_path_is_not_the_current_folder_in_python(
    artifact_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_fm.data import load_dataset
    from edge_fm_runtime import Classifier
    from edge_fm_runtime.errors import ArtifactError, DataError, PhotoError

    monkeypatch.chdir(artifact_folder)
    with pytest.raises(ArtifactError, match="is empty"):
        Classifier.load("")
    with pytest.raises(DataError, match="is empty"):
        load_dataset("")
    with Classifier.load(".") as classifier, pytest.raises(PhotoError, match="is empty"):
        classifier.classify("")


@pytest.mark.parametrize("command", [("infer",), ("verify",), ("export",), ("infer", "a.jpg", "--model")])
def test_a_name_without_end_is_cut_in_the_message(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*command, "x" * 100_000])
    assert result.exit_code in (1, 2)
    assert len(result.stderr) < 3000
    assert "xxx...x" in result.stderr
