"""What all kinds of source share, and what is no dataset; each kind has a file of tests of its own."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from datafiles import all_rows, expected, idx_bytes, make_images, write_csv
from PIL import Image

from edge_fm.data import dataset_info, load_dataset
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import DataError

LABELS = np.arange(20) % 4


# Sources by kind: each test below of what they share runs over all of them.


def csv_source(folder: Path, images: np.ndarray) -> Path:
    return write_csv(folder / "data.csv", images, LABELS.tolist())


def npz_source(folder: Path, images: np.ndarray) -> Path:
    np.savez(folder / "data.npz", images=images, labels=LABELS)
    return folder / "data.npz"


def npy_source(folder: Path, images: np.ndarray) -> Path:
    np.save(folder / "pixels.npy", images)
    np.save(folder / "pixels_labels.npy", LABELS)
    return folder / "pixels.npy"


def dict_source(folder: Path, images: np.ndarray) -> Path:
    np.save(folder / "data.npy", {"features": images.reshape(20, -1), "target": LABELS})
    return folder / "data.npy"


def idx_source(folder: Path, images: np.ndarray) -> Path:
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(images[..., 0])))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS))
    return folder


def folder_source(folder: Path, images: np.ndarray) -> Path:
    for i, (image, label) in enumerate(zip(images, LABELS, strict=True)):
        (folder / "images" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(folder / "images" / str(label) / f"{i}.png")
    return folder / "images"


SOURCES = [csv_source, npz_source, npy_source, dict_source, idx_source, folder_source]
each_source = pytest.mark.parametrize("make", SOURCES)


@each_source
def test_every_image_arrives_with_its_label(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    images = make_images(20, (6, 6, 1))
    dataset = load_dataset(str(make(tmp_path, images)))
    assert dataset.shape == (6, 6, 1) and dataset.label_names == ("0", "1", "2", "3")
    assert all_rows(dataset) == expected(images, [str(n) for n in LABELS])
    assert np.bincount(dataset.test.labels).tolist() == [1] * 4
    assert dataset_info(dataset)["notes"]["test"].startswith("20%")


@each_source
def test_the_test_split_is_the_same_each_time_and_at_each_size(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    source = str(make(tmp_path, make_images(20, (6, 6, 1))))
    once, again = load_dataset(source), load_dataset(source)
    assert once.content_hash == again.content_hash
    small = load_dataset(source, shape=(3, 3, 1))
    bigger = load_dataset(source, shape=(12, 12, 3), photo=PhotoSpec(mode="stretch"))
    assert small.shape == (3, 3, 1) and bigger.shape == (12, 12, 3)
    np.testing.assert_array_equal(once.train.labels, small.train.labels)
    for split, large in ((once.train, bigger.train), (once.test, bigger.test)):
        means = split.images.mean(axis=(1, 2, 3)) - large.images.mean(axis=(1, 2, 3))
        assert np.abs(means).max() < 12
    other = load_dataset(source, test_seed=1, test_fraction=0.4)
    assert len(other.test) == 8


@each_source
def test_progress_is_reported(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    steps: list[tuple[str, int, int | None]] = []
    load_dataset(str(make(tmp_path, make_images(20, (6, 6, 1)))), progress=lambda *step: steps.append(step))
    assert steps and all(total is None or 0 <= done <= total for _, done, total in steps)


def test_errors_for_unknown_names_list_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Did you mean 'fashion-mnist-mini'"):
        load_dataset("fashion-mnist-mni")
    with pytest.raises(DataError, match=r"no file or folder of that name[\s\S]*\.npz, \.npy and \.csv"):
        load_dataset(str(tmp_path / "nothing"))
    with pytest.raises(DataError, match="holds no dataset"):
        load_dataset(str(tmp_path))
    (tmp_path / "a.bin").write_bytes(b"\x7fELF\x02\x01\x00")
    with pytest.raises(DataError, match="of no kind that is known"):
        load_dataset(str(tmp_path / "a.bin"))
    (tmp_path / "images").write_bytes(idx_bytes(make_images(2, (3, 3))))
    with pytest.raises(DataError, match="one IDX file"):
        load_dataset(str(tmp_path / "images"))
    with pytest.raises(DataError, match="height, width, channels"):
        load_dataset("fashion-mnist-mini", shape=(28, 0, 1))
