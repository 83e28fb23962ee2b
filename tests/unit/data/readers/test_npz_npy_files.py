"""NPZ and NPY files: names of arrays, channels first, scaling, bombs and damage."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from datafiles import make_images

from edge_fm.data import load_dataset
from edge_fm_runtime.errors import DataError


@pytest.mark.parametrize(
    "keys", [("x_train", "y_train", "x_test", "y_test"), ("train_images", "train_labels", "test_images", "test_labels")]
)
def test_npz_with_splits_channels_first_and_label_columns(keys: tuple[str, ...], tmp_path: Path) -> None:
    train, test = make_images(6, (3, 8, 7)), make_images(4, (3, 8, 7), seed=1)
    arrays = dict(zip(keys, (train, (np.arange(6) % 2)[:, None], test, np.arange(4) % 2), strict=True))
    np.savez_compressed(tmp_path / "a.npz", **arrays, label_names=np.array(["Bag", "Ankle boot"]))
    dataset = load_dataset(str(tmp_path / "a.npz"))
    assert dataset.label_names == ("Bag", "Ankle boot") and dataset.shape == (8, 7, 3)
    np.testing.assert_array_equal(dataset.test.images.transpose(0, 3, 1, 2), test)


def test_both_splits_are_scaled_by_one_rule(tmp_path: Path) -> None:
    train, test = np.full((4, 2, 2), 200.0), np.full((2, 2, 2), 1.0)
    np.savez(tmp_path / "a.npz", x_train=train, y_train=[0, 0, 1, 1], x_test=test, y_test=[0, 1])
    assert load_dataset(str(tmp_path / "a.npz")).test.images.max() == 1


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((4, 2, 2)), "names": np.zeros(4)}, "has the arrays images, names; supported are x_train"),
        ({"images": np.zeros((4, 2, 2)), "labels": np.zeros(3)}, "4 images but 3 labels"),
        ({"images": np.zeros((0, 2, 2)), "labels": np.zeros(0)}, "no images"),
        ({"images": np.full((4, 2, 2), np.nan), "labels": np.arange(4) % 2}, "image 0: pixel 1 is not a finite"),
        ({"images": np.full((4, 2, 2), -0.5), "labels": np.arange(4) % 2}, "outside 0..255"),
        ({"images": np.full((4, 2, 2), 300), "labels": np.arange(4) % 2}, "outside 0..255: 300"),
        ({"images": np.full((4, 2, 2), "a"), "labels": np.arange(4) % 2}, "pixels are <U1"),
        ({"images": np.zeros((4, 2, 2, 2, 2)), "labels": np.arange(4) % 2}, "supported are .N,P."),
        ({"images": np.zeros((4, 2, 2)), "labels": np.array([0, 0, 1, -2])}, "image 3: label -2 is out of range"),
        ({"images": np.zeros((4, 2, 2)), "labels": np.array([0, 0, 1, 7])}, "image 2: label 1 .* 2 have"),
        ({"images": np.zeros((4, 2, 2)), "labels": np.array([{}] * 4)}, "labels holds pickled Python objects"),
    ],
)
def test_npz_errors_name_the_array_and_the_row(arrays: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message) as caught:
        load_dataset(str(tmp_path / "a.npz"))
    assert "a.npz" in str(caught.value)


def test_a_label_that_training_lacks_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=make_images(4), y_train=[0, 0, 1, 1], x_test=make_images(2), y_test=[0, 9])
    with pytest.raises(DataError, match="x_test, image 1: label 9 does not occur in training"):
        load_dataset(str(tmp_path / "a.npz"))


def test_npz_bombs_and_damage_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        header = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little")
        text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000,), }"
        archive.writestr("images.npy", header + text.ljust(117) + b"\n")
        archive.writestr("labels.npy", header + text.ljust(117) + b"\n")
    with pytest.raises(DataError, match=r"declares .1000000000000. values"):
        load_dataset(str(path))
    np.savez_compressed(path, images=make_images(20), labels=np.arange(20) % 4)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match="cannot be read"):
        load_dataset(str(path))


def test_npy_without_labels_says_where_they_belong(tmp_path: Path) -> None:
    np.save(tmp_path / "x_train.npy", make_images(4))
    with pytest.raises(DataError, match=r"labels\.npy.*y_train\.npy"):
        load_dataset(str(tmp_path / "x_train.npy"))
    np.save(tmp_path / "y_train.npy", np.array([0, 0, 1, 1]))
    assert load_dataset(str(tmp_path / "x_train.npy")).label_names == ("0", "1")


def test_npy_cut_short(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", make_images(4))
    np.save(tmp_path / "labels.npy", np.array([0, 0, 1, 1]))
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-3])
    with pytest.raises(DataError, match=r"a\.npy declares \[4, 6, 5, 1\] values of uint8, 120 bytes, but has 117"):
        load_dataset(str(tmp_path / "a.npy"))


def test_an_archive_whose_member_has_no_readable_name_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=np.zeros((4, 2, 2)), labels=np.arange(4) % 2)
    data = bytearray((tmp_path / "set.npz").read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 9] |= 0x08  # its name is in UTF-8
    data[at + 46] = 0xFF
    (tmp_path / "set.npz").write_bytes(data)
    with pytest.raises(DataError, match="cannot be read"):
        load_dataset(str(tmp_path / "set.npz"))


def test_fractions_that_rounding_would_wipe_out_are_refused(tmp_path: Path) -> None:
    images, labels = make_images(8), np.arange(8) % 2
    fractions = images.astype(np.float32) / 255
    np.savez(tmp_path / "a.npz", x_train=images, y_train=labels, x_test=fractions, y_test=labels)
    with pytest.raises(DataError, match=r"a\.npz, x_test, image 0: the pixels are fractions from 0 to .* to 255"):
        load_dataset(str(tmp_path / "a.npz"))
    fractions[0, 0, 0] = 1.0001  # as interpolation leaves it
    np.savez(tmp_path / "b.npz", images=fractions, labels=labels)
    with pytest.raises(DataError, match=r"fractions from 0 to 1\.0001; supported are 0\.\.1 or 0\.\.255"):
        load_dataset(str(tmp_path / "b.npz"))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_whole_numbers_of_0_and_1_are_reported(dtype: type, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=(make_images(8) > 127).astype(dtype), labels=np.arange(8) % 2)
    said: list[str] = []
    assert load_dataset(str(tmp_path / "a.npz"), note=said.append).train.images.max() == 1
    assert "Pixels: none is above 1 of 255; whole numbers are never scaled." in said


def test_a_label_that_is_half_a_character_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=make_images(8), labels=np.array(["bag", "co\ud800t"] * 4))
    with pytest.raises(DataError, match=r"the label 'co.ud800t' is not text"):
        load_dataset(str(tmp_path / "a.npz"))
