"""Image folders: parts, preprocessing, copies, and every picture that cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from datafiles import write_pictures
from PIL import Image

from edge_fm.data import dataset_info, load_dataset
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.metadata import PhotoSpec


def test_folder_with_train_val_and_test(tmp_path: Path) -> None:
    counts = {"Ankle boot": 3, "Bag": 4}
    for seed, part in enumerate(("train", "val", "test")):
        write_pictures(tmp_path / part, counts, seed=seed)
    dataset = load_dataset(str(tmp_path))
    assert dataset.label_names == ("Ankle boot", "Bag")
    assert (len(dataset.train), len(dataset.test)) == (14, 7)
    assert "val/" in dataset.notes["validation"]


@pytest.mark.parametrize("name", ["test", "val", "Validation", "valid"])
def test_folder_with_two_parts(name: str, tmp_path: Path) -> None:
    write_pictures(tmp_path / "train", {"a": 4, "b": 4})
    write_pictures(tmp_path / name, {"a": 2, "b": 1}, seed=1)
    dataset = load_dataset(str(tmp_path))
    assert np.bincount(dataset.test.labels).tolist() == [2, 1]


def test_folder_goes_through_the_photo_preprocessing(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.new("RGB", (40, 20), (200, 200, 200 + i)).save(tmp_path / name / f"{i}.jpg")
    dataset = load_dataset(str(tmp_path), shape=(20, 20, 1), photo=PhotoSpec(mode="fit", fill=7))
    canvas = dataset.train.images[0, :, :, 0]
    assert (canvas[:4] == 7).all() and (canvas[6:14] > 190).all()


def test_folder_takes_the_common_size_and_kind_of_its_pictures(tmp_path: Path) -> None:
    write_pictures(tmp_path, {"a": 3, "b": 3}, size=(8, 6))
    (tmp_path / "a" / "Thumbs.db").write_bytes(b"junk")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / ".git").mkdir()
    assert load_dataset(str(tmp_path)).shape == (6, 8, 1)
    Image.new("RGB", (8, 6), "red").save(tmp_path / "b" / "red.png")
    dataset = load_dataset(str(tmp_path))
    assert dataset.shape == (6, 8, 3) and dataset.label_names == ("a", "b")
    assert {tuple(i[0, 0]) for s in (dataset.train, dataset.test) for i in s.images} >= {(255, 0, 0)}
    Image.new("L", (9, 6)).save(tmp_path / "b" / "wide.png")
    with pytest.raises(DataError, match=r"wide\.png has 9x6 pixels.*8x6[\s\S]*--size"):
        load_dataset(str(tmp_path))


def test_folder_lists_every_picture_that_cannot_be_read(tmp_path: Path) -> None:
    write_pictures(tmp_path, {"a": 3, "b": 3})
    (tmp_path / "a" / "cut.png").write_bytes((tmp_path / "a" / "000.png").read_bytes()[:40])
    (tmp_path / "b" / "page.jpg").write_text("<html>")
    (tmp_path / "b" / "empty.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="3 of 9 pictures cannot be read") as caught:
        load_dataset(str(tmp_path))
    assert all(name in str(caught.value) for name in ("cut.png", "page.jpg", "empty.jpg"))


def test_copies_of_a_picture_never_stand_on_both_sides(tmp_path: Path) -> None:
    write_pictures(tmp_path, {"a": 10, "b": 10})
    for i in range(3):
        (tmp_path / "a" / f"copy{i}.png").write_bytes((tmp_path / "a" / "000.png").read_bytes())
    for seed in range(10):
        dataset = load_dataset(str(tmp_path), test_seed=seed)
        assert dataset_info(dataset)["duplicates"]["test_in_train"] == 0


def test_folder_classes_with_too_few_pictures_are_named(tmp_path: Path) -> None:
    write_pictures(tmp_path, {"a": 4, "b": 1, "c": 0})
    with pytest.raises(DataError, match=r"2 of 3 classes.*b \(1\), c \(0\)"):
        load_dataset(str(tmp_path))


def test_folder_with_one_part_alone_is_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path / "train", {"a": 4, "b": 4})
    with pytest.raises(DataError, match="has the part train alone"):
        load_dataset(str(tmp_path))
