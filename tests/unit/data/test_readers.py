"""Each kind of source is read right, and what is wrong in it is named with its file and row."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest
from datafiles import idx_bytes, make_images, write_csv, write_pictures
from PIL import Image

from edge_fm.data import dataset_info, load_dataset
from edge_fm.data.dataset import Dataset
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.metadata import PhotoSpec

LABELS = np.arange(20) % 4


def all_rows(dataset: Dataset) -> set[tuple[bytes, str]]:
    return {
        (image.tobytes(), dataset.label_names[label])
        for split in (dataset.train, dataset.test)
        for image, label in zip(split.images, split.labels, strict=True)
    }


def expected(images: np.ndarray, names: list[str]) -> set[tuple[bytes, str]]:
    return {(image.tobytes(), name) for image, name in zip(images, names, strict=True)}


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
        (folder / "pictures" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(folder / "pictures" / str(label) / f"{i}.png")
    return folder / "pictures"


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
def test_progress_is_told(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    told: list[tuple[str, int, int | None]] = []
    load_dataset(str(make(tmp_path, make_images(20, (6, 6, 1)))), progress=lambda *step: told.append(step))
    assert told and all(total is None or 0 <= done <= total for _, done, total in told)


# CSV


@pytest.mark.parametrize("header", [True, False])
def test_csv_with_and_without_header_in_text_labels_and_other_delimiters(header: bool, tmp_path: Path) -> None:
    images, names = make_images(8, (3, 3, 1)), ["T-shirt/top", "Ankle boot"] * 4
    path = write_csv(tmp_path / "a.csv", images, names, header=header)
    assert all_rows(load_dataset(str(path))) == expected(images, names)
    path.write_text("\ufeff" + path.read_text().replace(",", ";").replace("\n", "\r\n\r\n"), encoding="utf-8")
    assert all_rows(load_dataset(str(path))) == expected(images, names)


def test_csv_label_column_is_found_by_name(tmp_path: Path) -> None:
    images = make_images(4, (1, 3, 1))
    rows = [
        f"{','.join(map(str, image.reshape(-1)))},{label}" for image, label in zip(images, [1, 1, 2, 2], strict=True)
    ]
    (tmp_path / "a.csv").write_text("\n".join(["p1,p2,p3,Label", *rows]))
    dataset = load_dataset(str(tmp_path / "a.csv"), shape=(1, 3, 1))
    assert all_rows(dataset) == expected(images, ["1", "1", "2", "2"])
    assert dataset.notes["relabelled"] == {"1": 0, "2": 1}


def test_csv_floats_from_0_to_1_give_the_same_pixels(tmp_path: Path) -> None:
    images = make_images(8, (3, 3, 1))
    images[0, 0, 0, 0] = 255
    whole = load_dataset(str(write_csv(tmp_path / "whole.csv", images, [0, 1] * 4)))
    floats = load_dataset(str(write_csv(tmp_path / "floats.csv", images / 255, [0, 1] * 4)))
    assert all_rows(whole) == all_rows(floats)
    assert "scaled" in floats.notes["pixels"] and "pixels" not in whole.notes


def test_csv_of_more_than_one_portion_and_mixed_kinds(tmp_path: Path) -> None:
    images = make_images(5000, (2, 2, 1)).astype(np.float64)
    images[4000] = 7.25
    dataset = load_dataset(str(write_csv(tmp_path / "a.csv", images, list(np.arange(5000) % 2))))
    assert len(dataset.train) + len(dataset.test) == 5000
    assert all_rows(dataset) == expected(np.rint(images).astype(np.uint8), [str(i % 2) for i in range(5000)])


def test_csv_pair_in_a_folder(tmp_path: Path) -> None:
    train, test = make_images(8, (3, 3, 1)), make_images(4, (3, 3, 1), seed=1)
    write_csv(tmp_path / "fashion-mnist_train.csv", train, [0, 1] * 4)
    write_csv(tmp_path / "fashion-mnist_test.csv", test, [0, 1] * 2)
    (tmp_path / "labels.txt").write_text("T-shirt/top\nAnkle boot\n")
    dataset = load_dataset(str(tmp_path))
    np.testing.assert_array_equal(dataset.test.images, test)
    assert dataset.label_names == ("T-shirt/top", "Ankle boot") and len(dataset.files) == 2


LINE_5 = "0,1,2,3,4,5,6,7,8,9"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0,1,2,3,4,5,6,7,8", "line 5 has 9 columns; the first line has 10"),
        (LINE_5 + ",10", "line 5 has 11 columns"),
        ("0,1,2,nan,4,5,6,7,8,9", "line 5: pixel 3 is no finite number: nan"),
        ("0,1,2,NaN,4,5,6,7,8,9", "line 5: pixel 3 is no finite number: nan"),
        ("0,1,2,inf,4,5,6,7,8,9", "line 5: pixel 3 is no finite number: inf"),
        ("0,1,2,,4,5,6,7,8,9", "line 5: column 4 is empty"),
        ("0,1,2,x,4,5,6,7,8,9", "line 5: column 4 is 'x', which is no number"),
        ("0,1,2,256,4,5,6,7,8,9", r"line 5: pixel 3 is outside 0\.\.255: 256"),
        ("0,1,2,-1,4,5,6,7,8,9", r"line 5: pixel 3 is outside 0\.\.255: -1"),
        ("0,1,2,99999,4,5,6,7,8,9", r"line 5: pixel 3 is outside 0\.\.255: 99999"),
        ("-1,1,2,3,4,5,6,7,8,9", "line 5: label -1.0 is out of range"),
        ("0.5,1,2,3,4,5,6,7,8,9", "line 5: label 0.5 is out of range"),
        ("nan,1,2,3,4,5,6,7,8,9", "line 5: label nan is out of range"),
        ("99,1,2,3,4,5,6,7,8,9", "line 5: label 99 is out of range or occurs only here"),
        (",1,2,3,4,5,6,7,8,9", "line 5: the label is empty"),
        ("Bag,1,2,3,4,5,6,7,8,9", "line 5: label 'Bag' is no number"),
    ],
)
def test_csv_errors_name_the_line(line: str, message: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", make_images(9, (3, 3, 1)), [0, 1, 2] * 3)
    lines = path.read_text().splitlines()
    lines[4] = line
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=message) as caught:
        load_dataset(str(path))
    assert "a.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n\n", "empty lines"),
        (b"label,p1,p2\n", "no rows"),
        (b"hello\n", "single column"),
        (b"label,p1\n0,\xff\n", "not UTF-8"),
        (b"label,p1,p2\n0,1,2\n0,1,3\n1,1,4\n1,1,5\n", "2 values each, which is no square"),
    ],
)
def test_csv_that_is_no_table_of_images(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_dataset(str(tmp_path / "a.csv"))


def test_csv_labels_are_held_against_the_names(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", make_images(6, (3, 3, 1)), [0, 1, 0, 1, 2, 2])
    (tmp_path / "labels.txt").write_text("Bag\nCoat\n")
    with pytest.raises(DataError, match="line 6: label 2 is out of range; there are 2 label names"):
        load_dataset(str(path))


# IDX


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
        (lambda b: b"\0\0\x07\x03" + b[4:], "no IDX file: it begins with 00 00 07 03"),
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


# NPZ and NPY


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
        ({"images": np.full((4, 2, 2), np.nan), "labels": np.arange(4) % 2}, "image 0: pixel 1 is no finite"),
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
    with pytest.raises(DataError, match=r"says .1000000000000. values"):
        load_dataset(str(path))
    np.savez_compressed(path, images=make_images(20), labels=LABELS)
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
    with pytest.raises(DataError, match=r"a\.npy says \[4, 6, 5, 1\] values of uint8, 120 bytes, but has 117"):
        load_dataset(str(tmp_path / "a.npy"))


# Image folders


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


# What is no dataset


def test_unknown_names_are_answered_with_what_there_is(tmp_path: Path) -> None:
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
