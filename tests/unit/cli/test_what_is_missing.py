"""On a base install a command that needs an extra says so at once: before data are fetched, and leaving no folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from base_install import make_base_install, run_in


@pytest.fixture(scope="module")
def binaries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base_install(tmp_path_factory.mktemp("base") / "environment")


@pytest.mark.parametrize(
    "command", ["train", "crossval", "sweep --grid training.epochs=1,2", "search report-e-lenet5-search", "quickstart"]
)
def test_training_says_at_once_what_it_needs(binaries: Path, tmp_path: Path, command: str) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    done = run_in(binaries, f"edgefm {command}", folder)
    assert done.returncode == 1
    assert "not installed.\npip install 'edge-fm[" in done.stderr, done.stderr
    assert "Fetching" not in done.stderr and "Traceback" not in done.stderr
    assert list(folder.iterdir()) == []


def test_the_next_commands_of_data_keep_the_size(binaries: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    make = """
from pathlib import Path
from PIL import Image
for name, side in (("a", 20), ("b", 30)):
    Path("set", name).mkdir(parents=True)
    for number in range(5):
        Image.new("RGB", (side, side + number)).save(f"set/{name}/{number}.png")
"""
    assert run_in(binaries, make, folder, shell="python").returncode == 0
    done = run_in(binaries, "edgefm data info set --size 16x16x3", folder)
    assert "Next: edgefm data show set --size 16x16x3\n" in done.stderr
    assert "Next: edgefm train --data set --size 16x16x3" in done.stderr
    assert run_in(binaries, "edgefm data show set --size 16x16x3", folder).returncode == 0
