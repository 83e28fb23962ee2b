"""Folders of IDX files: both parts, number kinds, and damage that is named."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from datafiles import all_rows, expected, idx_bytes, make_images

from edge_fm.data import load_dataset
from edge_fm_runtime.errors import DataError


def write_idx(folder: Path, images: np.ndarray, labels: np.ndarray, part: str, code: str = "u1") -> None:
    (folder / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(images, code))
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))


def test_idx_folder_with_both_parts(tmp_path: Path) -> None:
    train, test = make_images(6, (4, 3)), make_images(4, (4, 3), seed=1)
    write_idx(tmp_path, train, np.arange(6) % 2, "train")
    write_idx(tmp_path, test, np.arange(4) % 2, "t10k")
    dataset = load_dataset(str(tmp_path))
    np.testing.assert_array_equal(dataset.train.images[..., 0], train)
    np.testing.assert_array_equal(dataset.test.images[..., 0], test)
    assert len(dataset.files) == 4


def test_idx_of_floats_and_colours(tmp_path: Path) -> None:
    images = make_images(6, (4, 3, 3))
    images[0, 0, 0, 0] = 255
    write_idx(tmp_path, images / np.float32(255), np.arange(6) % 2, "train", "f4")
    dataset = load_dataset(str(tmp_path))
    assert dataset.shape == (4, 3, 3) and all_rows(dataset) == expected(images, ["0", "1"] * 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b[:-1], "119.* bytes, but has|but has 119"),
        (lambda b: b + b"x", "but has more"),
        (lambda b: b"\0\0\x07\x03" + b[4:], "not an IDX file: it begins with 00 00 07 03"),
        (lambda b: b[:9], "cut short"),
        (lambda b: b"", r"is empty \(0 bytes\)"),
        (lambda b: gzip.compress(b)[:-20], "cannot be read"),
        (lambda b: gzip.compress(b + b"\0" * 1_000_000), "but has more"),
        (lambda b: b[:4] + b"\xff" * 12, "at most 16 GiB|overflow"),
    ],
)
def test_idx_damage_is_named(change, message: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write_idx(tmp_path, make_images(6, (5, 4)), np.arange(6) % 2, "train")
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=message) as caught:
        load_dataset(str(tmp_path))
    assert path.name in str(caught.value)


def test_idx_parts_that_do_not_fit(tmp_path: Path) -> None:
    write_idx(tmp_path, make_images(6, (5, 4)), np.arange(5) % 2, "train")
    with pytest.raises(DataError, match=r"labels \[5\].*6 images"):
        load_dataset(str(tmp_path))
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="no labels file beside it"):
        load_dataset(str(tmp_path))
