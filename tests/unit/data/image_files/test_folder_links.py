"""Image folders with links and with folders that may not be listed: nothing else is walked, nothing goes missing."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from datafiles import write_images

from edge_fm.data import load_dataset
from edge_fm_runtime.errors import DataError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    write_images(folder, {"a": 4, "b": 4})
    return folder


@pytest.mark.parametrize("target", ["/", "/proc", "..", "../..", "."])
def test_a_class_that_is_a_link_to_everything_is_refused(data: Path, target: str) -> None:
    (data / "all").symlink_to(target)
    with pytest.raises(DataError, match=r"all is a link to .*, which is not a folder of one class") as caught:
        load_dataset(str(data))
    assert caught.value.hint is not None and "Remove the link" in caught.value.hint


def test_a_part_that_is_a_link_to_the_data_is_refused(data: Path) -> None:
    write_images(data / "train", {"a": 4, "b": 4})
    (data / "test").symlink_to(data)
    with pytest.raises(DataError, match="holds the data itself"):
        load_dataset(str(data))


def test_a_class_may_be_a_link_to_its_image(data: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "pool", {"c": 4}, seed=1)
    (data / "c").symlink_to(tmp_path / "pool" / "c")
    dataset = load_dataset(str(data))
    assert dataset.label_names == ("a", "b", "c")
    assert len(dataset.train) + len(dataset.test) == 12


def test_links_within_a_class_are_not_followed_and_counted(data: Path) -> None:
    (data / "a" / "more").symlink_to("/")
    said: list[str] = []
    load_dataset(str(data), note=said.append)
    assert any("1 link to a folder within a class" in line for line in said), said


_AS_NOBODY = """
import os, sys
from edge_fm.data import load_dataset
from edge_fm_runtime.errors import DataError
load_dataset(sys.argv[1])  # nobody may import later
os.chmod(sys.argv[1] + "/a/closed", 0)
if os.getuid() == 0:
    os.setgroups([])
    os.setuid(65534)
try:
    load_dataset(sys.argv[1])
except DataError as error:
    print(error)
"""


def test_a_folder_without_rights_is_an_error_and_no_loss() -> None:
    with tempfile.TemporaryDirectory() as folder:  # every user may list it, as those of pytest are not
        data = Path(folder)
        data.chmod(0o755)
        write_images(data, {"a": 4, "b": 4})
        check_closed(data)


def check_closed(data: Path) -> None:
    write_images(data / "a", {"closed": 2}, seed=1)
    done = subprocess.run([sys.executable, "-c", _AS_NOBODY, str(data)], capture_output=True, text=True, check=False)
    assert f"The folder {data}/a/closed cannot be listed: Permission denied." in done.stdout, done.stderr
