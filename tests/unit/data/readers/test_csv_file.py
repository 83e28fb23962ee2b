"""CSV files: headers, delimiters, labels, and errors that name the line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from datafiles import all_rows, expected, make_images, write_csv

from edge_fm.data import load_dataset
from edge_fm_runtime.errors import DataError


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
        ("0,1,2,nan,4,5,6,7,8,9", "line 5: pixel 3 is not a finite number: nan"),
        ("0,1,2,NaN,4,5,6,7,8,9", "line 5: pixel 3 is not a finite number: nan"),
        ("0,1,2,inf,4,5,6,7,8,9", "line 5: pixel 3 is not a finite number: inf"),
        ("0,1,2,,4,5,6,7,8,9", "line 5: column 4 is empty"),
        ("0,1,2,x,4,5,6,7,8,9", "line 5: column 4 is 'x', which is not a number"),
        ("0,1,2,256,4,5,6,7,8,9", r"line 5: pixel 3 is outside 0\.\.255: 256"),
        ("0,1,2,-1,4,5,6,7,8,9", r"line 5: pixel 3 is outside 0\.\.255: -1"),
        ("0,1,2,99999,4,5,6,7,8,9", r"line 5: pixel 3 is outside 0\.\.255: 99999"),
        ("-1,1,2,3,4,5,6,7,8,9", "line 5: label -1.0 is out of range"),
        ("0.5,1,2,3,4,5,6,7,8,9", "line 5: label 0.5 is out of range"),
        ("nan,1,2,3,4,5,6,7,8,9", "line 5: label nan is out of range"),
        ("99,1,2,3,4,5,6,7,8,9", "line 5: label 99 is out of range or occurs only here"),
        (",1,2,3,4,5,6,7,8,9", "line 5: the label is empty"),
        ("Bag,1,2,3,4,5,6,7,8,9", "line 5: label 'Bag' is not a number"),
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
        (b"id,label\nabc,cat\ndef,dog\n", r"no column of pixels.*none that names image files.*id \(column 1\), label"),
        (b"label,id\ncat,abc\ndog,def\n", "no column of pixels"),
        (b"name,label\nfoo,cat\nbar,dog\n", r"no column of pixels.*name \(column 1\), label \(column 2\)"),
        (b"id,label\n001,a\n002,b\n", "no column of pixels"),
        (b"label,p1,p2\n0,1,2\n0,1,3\n1,1,4\n1,1,5\n", "2 values each, which is not a square"),
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


def test_a_row_that_holds_no_numbers_is_named(tmp_path: Path) -> None:
    (tmp_path / "set.csv").write_bytes(b"label,l\x01\0\n1,5\n1,\x01\x0055")
    with pytest.raises(DataError, match=r"set\.csv, line 3"):
        load_dataset(str(tmp_path / "set.csv"))
