"""Libraries keep their files in our cache, and what a person has set up for them is followed; that of others is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_DRAW = """
from edge_fm.evaluation.plots import new_figure
figure = new_figure(2, 2)
figure.subplots().set_title("a title")
figure.savefig("figure.png")
import matplotlib
print(matplotlib.rcParams["text.usetex"], matplotlib.rcParams["lines.linewidth"])
"""


pytestmark = pytest.mark.needs("matplotlib")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "home").mkdir()
    (tmp_path / "project").mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MPL", "MATPLOTLIB", "XDG", "KERAS"))}
    return kept | {"HOME": str(tmp_path / "home")}


def draw(tmp_path: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _DRAW],
        cwd=tmp_path / "project",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and (tmp_path / "project" / "figure.png").is_file(), done.stderr
    return done.stdout.strip()


def test_the_list_of_fonts_is_kept_in_our_cache(tmp_path: Path, environment: dict[str, str]) -> None:
    assert draw(tmp_path, environment) == "False 1.5"
    files = [p for p in (tmp_path / "home").rglob("*") if p.is_file()]
    assert files and all(p.is_relative_to(tmp_path / "home/.cache/edgefm/libraries/matplotlib") for p in files)


def test_settings_in_the_current_folder_are_not_followed(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "project" / "matplotlibrc").write_text("text.usetex: True\nlines.linewidth: 7\n")
    assert draw(tmp_path, environment) == "False 1.5"


def test_settings_of_the_user_are_followed(tmp_path: Path, environment: dict[str, str]) -> None:
    settings = tmp_path / "home/.config/matplotlib/matplotlibrc"
    settings.parent.mkdir(parents=True)
    settings.write_text("lines.linewidth: 3\n")
    assert draw(tmp_path, environment) == "False 3.0"
    own = tmp_path / "own"
    own.mkdir()
    (own / "matplotlibrc").write_text("lines.linewidth: 4\n")
    assert draw(tmp_path, environment | {"MPLCONFIGDIR": str(own)}) == "False 4.0"


@pytest.mark.needs("tensorflow")
def test_a_model_that_is_opened_first_loads_keras_with_a_folder_of_ours(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    code = (
        "from edge_fm.models.records import trained_model\n"
        "from edge_fm_export.sources import load_source\n"
        "load_source(trained_model('edgenet-s'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    files = [p for p in (tmp_path / "home").rglob("*") if p.is_file()]
    assert all(p.is_relative_to(tmp_path / "home/.cache/edgefm") for p in files), files
