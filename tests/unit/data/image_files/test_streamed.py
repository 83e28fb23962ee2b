"""Images that are decoded when they are needed: the same pixels, splits, hashes and weights as in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from datafiles import write_images
from PIL import Image

from edge_fm.data import Dataset, load_dataset, split_validation
from edge_fm.data.dataset import join
from edge_fm.data.streaming.images import as_streamed
from edge_fm.training import Recipe, train, with_overrides
from edge_fm_export.gate.fingerprints import fingerprints
from edge_fm_runtime.errors import CacheWarning, DataError

SHAPE = (20, 20, 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirty grey images of two sizes, ten in colour, one of them a copy of another."""
    root = write_images(tmp_path / "photos", {"cat": 15, "dog": 15}, size=(24, 20))
    rng = np.random.default_rng(1)
    for i in range(10):
        pixels = rng.integers(0, 256, (30, 22, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / ("cat", "dog")[i % 2] / f"colour{i}.jpg", quality=90)
    (root / "cat" / "copy.png").write_bytes((root / "cat" / "000.png").read_bytes())
    return root


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEFM_IMAGE_MEMORY", "0")
    monkeypatch.setenv("EDGEFM_PIXEL_CACHE", "0")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def both(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: object) -> tuple[Dataset, Dataset]:
    streamed = load_dataset(str(folder), **options)  # type: ignore[arg-type]
    with monkeypatch.context() as patch:
        patch.delenv("EDGEFM_IMAGE_MEMORY")
        return streamed, load_dataset(str(folder), **options)  # type: ignore[arg-type]


def test_streamed_images_are_those_in_memory(folder: Path, stream: None, monkeypatch: pytest.MonkeyPatch) -> None:
    streamed, held = both(folder, monkeypatch, shape=SHAPE)
    assert as_streamed(streamed.train.images) is not None and as_streamed(held.train.images) is None
    assert streamed.content_hash == held.content_hash and streamed.shape == held.shape == SHAPE
    assert "decoded when they are needed" in streamed.notes["streamed"]
    for name, split in streamed.splits.items():
        other = held.splits[name]
        assert split.files == other.files and np.array_equal(split.labels, other.labels)
        assert fingerprints(split.images) == fingerprints(other.images)
        for index in (3, -1, slice(2, 7), slice(None, None, -1), np.array([4, 0, 4]), split.labels == 1):
            assert np.array_equal(split.images[index], other.images[index])
        assert np.array_equal(np.asarray(split.images), other.images)
    one = split_validation(streamed.train, fraction=0.3, seed=2)
    other_one = split_validation(held.train, fraction=0.3, seed=2)
    assert [part.files for part in one] == [part.files for part in other_one]
    mixed = join([streamed.train, held.test])
    assert as_streamed(mixed.images) is not None
    assert np.array_equal(np.asarray(mixed.images), np.concatenate([held.train.images, held.test.images]))
    ends = [fingerprints(held.test.images)[-1], fingerprints(held.train.images)[0]]
    assert fingerprints(mixed.take(np.array([-1, 0])).images) == ends
    again = join(one)
    assert as_streamed(again.images) is not None and len(again) == len(streamed.train)


def test_images_of_one_size_need_no_shape(tmp_path: Path, stream: None, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_images(tmp_path / "photos", {"cat": 4, "dog": 4})
    colour = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(colour).save(root / "dog" / "colour.png")
    streamed, held = both(root, monkeypatch)
    assert streamed.shape == held.shape == (6, 8, 3)
    assert streamed.content_hash == held.content_hash
    Image.fromarray(colour[:5]).save(root / "dog" / "smaller.png")
    with pytest.raises(DataError, match=r"have different sizes: .*smaller.png has 8x5 pixels"):
        load_dataset(str(root))


def test_unreadable_images_are_left_out_and_listed(folder: Path, stream: None) -> None:
    (folder / "dog" / "001.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="1 of 41 images cannot be read"):
        load_dataset(str(folder), shape=SHAPE)
    dataset = load_dataset(str(folder), shape=SHAPE, skip_unreadable=0.1)
    assert sum(map(len, dataset.splits.values())) == 40
    assert "dog/001.png" not in {file for split in dataset.splits.values() for file in split.files}


def test_what_was_read_is_stored_and_a_changed_file_is_read_again(folder: Path, stream: None, tmp_path: Path) -> None:
    stages: list[str] = []

    def load() -> str:
        return load_dataset(str(folder), shape=SHAPE, progress=lambda stage, *_: stages.append(stage)).content_hash

    first = load()
    assert stages
    stages.clear()
    assert load() == first and not stages
    Image.fromarray(np.full((20, 24), 7, np.uint8)).save(folder / "cat" / "003.png")
    assert load() != first and stages
    places = (tmp_path / "cache" / "edgefm" / "pictures").glob("*/pictures.npz")
    stored = max(places, key=lambda path: path.stat().st_mtime_ns)
    content = bytearray(stored.read_bytes())
    content[100] ^= 1
    stored.write_bytes(content)
    stages.clear()
    with pytest.warns(CacheWarning, match="is damaged"):
        load()
    assert stages


def test_a_file_that_vanishes_or_changes_is_named(folder: Path, stream: None) -> None:
    dataset = load_dataset(str(folder), shape=SHAPE)
    first, second = dataset.train.files[:2]
    (folder / first).unlink()
    with pytest.raises(DataError, match=f"{first} could be read when the dataset was loaded, and cannot be read now"):
        dataset.train.images[:1]
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(folder / second)
    with pytest.raises(DataError, match=f"{second} has changed since the dataset was loaded"):
        dataset.train.images[1]


def recipe(folder: Path) -> Recipe:
    return with_overrides(Recipe(), model="lenet5", data=str(folder), size=(28, 28, 1), epochs=2, batch_size=8, seed=3)


def test_a_training_is_the_same_and_names_a_file_that_vanishes(
    folder: Path, stream: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    streamed, held = both(folder, monkeypatch, shape=(28, 28, 1))
    results = [train(recipe(folder), dataset, tmp_path / name) for name, dataset in (("a", streamed), ("b", held))]
    one, other = (
        {key: value for key, value in row.items() if key not in ("seconds", "images_per_s")}
        for row in (r.history[-1] for r in results)
    )
    assert one == other
    assert np.array_equal(results[0].test_probabilities, results[1].test_probabilities)
    (folder / streamed.train.files[0]).unlink()
    with pytest.raises(DataError, match="cannot be read now"):
        train(recipe(folder), streamed, tmp_path / "c")


def test_the_memory_variable_is_a_number(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEFM_IMAGE_MEMORY", "much")
    with pytest.raises(DataError, match="EDGEFM_IMAGE_MEMORY is 'much'; it is a number of MiB"):
        load_dataset(str(folder), shape=SHAPE)
