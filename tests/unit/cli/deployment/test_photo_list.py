"""What `infer` was asked for and could not list or open costs the other photos nothing, and is said."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from edge_fm.cli import cli

NOBODY = 65534


@pytest.fixture
def photos() -> Iterator[Path]:
    """Photos in folders that every user may list, as those of pytest are not."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        yield write_photos(place)


def write_photos(tmp_path: Path) -> Path:
    for name in ("good.png", "closed/a.png", "tree/b.png", "tree/closed/c.png", "tree/d/e.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        Image.new("L", (4, 4)).save(tmp_path / name)
    return tmp_path


def rows(*arguments: str | Path, code: int) -> dict[str, str | None]:
    """Name of the photo -> its error, of `infer` in this process."""
    result = CliRunner().invoke(cli, ["infer", "--json", *map(str, arguments)])
    assert result.exit_code == code, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    return {row["input"]: row["error"] for row in rows}


_AS_NOBODY = """
import contextlib, io, os, sys
from edge_fm.cli import cli
photo, *rest = sys.argv[2:]
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    cli(["infer", photo, photo, *rest[rest.index("--model"):]], standalone_mode=False)  # nobody may import later
if os.getuid() == 0:
    os.setgroups([])
    os.setuid(int(sys.argv[1]))
cli(rest)
"""


def rows_without_rights(*arguments: str | Path, code: int) -> dict[str, str | None]:
    """The same as a user who may not read everything, as root may."""
    good = Path(arguments[-1]).parent / "good.png"
    command = [sys.executable, "-c", _AS_NOBODY, str(NOBODY), str(good), "infer", "--json", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {row["input"]: row["error"] for row in rows}


@pytest.fixture
def closed(photos: Path, artifact_folder: Path) -> Path:
    """Folders that only root may list, below one that everybody may; with the artifact."""
    shutil.copytree(artifact_folder, photos / "artifact")
    for folder in (photos / "closed", photos / "tree" / "closed"):
        folder.chmod(0)
    return photos


def test_a_photo_in_a_folder_without_rights_costs_only_itself(closed: Path) -> None:
    hidden, good = closed / "closed" / "a.png", closed / "good.png"
    found = rows_without_rights(hidden, good, "--model", closed / "artifact", code=4)
    assert list(found) == [str(hidden), str(good)]
    assert found[str(good)] is None and "Permission denied" in str(found[str(hidden)])
    assert "Permission denied" in str(rows_without_rights(hidden, "--model", closed / "artifact", code=1))


def test_a_subfolder_without_rights_is_named(closed: Path) -> None:
    found = rows_without_rights(closed / "tree", "--recursive", "--model", closed / "artifact", code=4)
    named = {Path(path).relative_to(closed).as_posix(): error for path, error in found.items()}
    assert {path for path, error in named.items() if error is None} == {"tree/b.png", "tree/d/e.png"}
    assert "cannot be listed: Permission denied" in str(named["tree/closed"])


def test_a_pattern_that_meets_a_folder_without_rights_names_it(closed: Path) -> None:
    pattern = closed / "tree" / "**" / "*.png"
    found = rows_without_rights(pattern, "--recursive", "--model", closed / "artifact", code=4)
    named = {Path(path).relative_to(closed).as_posix(): error for path, error in found.items()}
    assert {path for path, error in named.items() if error is None} == {"tree/b.png", "tree/d/e.png"}
    assert "cannot be listed: Permission denied" in str(named["tree/closed"])


@pytest.mark.parametrize("bad", ["x" * 300 + ".png", "", "no/such/*.png", "absent.png", "a" * 5000])
def test_a_path_that_cannot_be_is_one_error_among_predictions(photos: Path, artifact_folder: Path, bad: str) -> None:
    good = photos / "good.png"
    found = rows(bad, good, "--model", artifact_folder, code=4)
    assert list(found) == [bad, str(good)]
    assert found[bad] and found[str(good)] is None
    rows(bad, "--model", artifact_folder, code=1)


def test_an_empty_path_is_not_the_current_folder(
    photos: Path, artifact_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    assert rows("", "--model", artifact_folder, code=1) == {
        "": "The path of the photo is empty.\nName the photo; was a variable not set?"
    }


def test_hidden_folders_are_passed_over_and_the_photos_in_them_counted(photos: Path, artifact_folder: Path) -> None:
    for name in ("tree/.thumbs/f.png", "tree/d/__MACOSX/g.png", "tree/.git/notes.txt"):
        (photos / name).parent.mkdir(parents=True)
        shutil.copy(photos / "good.png", photos / name)
    arguments = ["infer", str(photos / "tree"), "--model", str(artifact_folder)]
    result = CliRunner().invoke(cli, [*arguments, "--recursive"])
    assert result.exit_code == 0 and len(result.stdout.splitlines()) == 3
    names = f"{photos}/tree/.thumbs/, {photos}/tree/d/__MACOSX/"
    assert f"Passed over: 2 images in folders that are hidden or left by tools ({names})." in result.stderr
    result = CliRunner().invoke(cli, arguments)
    assert "2 subfolders (look into them: --recursive); 1 image in a folder that is hidden" in result.stderr
    assert list(rows(photos / "tree" / ".thumbs", "--model", artifact_folder, code=0))  # named itself
