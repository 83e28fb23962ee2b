"""Manifests with several labels an image: in one column, or a column of 0 and 1 for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_fm.data import Preparation, load_dataset, prepare
from edge_fm.data.label_sets import label_sets
from edge_fm_runtime.errors import DataError

SETS = ("cat|dog", "dog", "", "dog | cat", "ox")


def manifest(folder: Path, rows: list[str], header: str) -> Path:
    rng = np.random.default_rng(1)
    for number in range(len(rows)):
        Image.fromarray(rng.integers(0, 255, (4, 6), dtype=np.uint8)).save(folder / f"{number}.png")
    lines = [header, *(f"{number}.png,{row}" for number, row in enumerate(rows))]
    (folder / "list.csv").write_text("\n".join(lines))
    return folder / "list.csv"


def test_labels_in_one_column(tmp_path: Path) -> None:
    file = manifest(tmp_path, [f"{labels},train" for labels in SETS] + ["cat,test"], "file,labels,split")
    dataset = load_dataset(str(file), multi_label=True)
    sets = label_sets(dataset.label_names)
    assert dataset.multi_label
    assert sets.names == ("cat", "dog", "ox")
    expected = [[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert sets.table[dataset.train.labels].tolist() == expected
    assert sets.table[dataset.test.labels].tolist() == [[1, 0, 0]]


def test_a_column_for_each_label_is_the_same_dataset(tmp_path: Path) -> None:
    rows = ["cat|dog,1,1,0,train", "dog,0,1,0,train", ",0,0,0,train", "ox,0,0,1,train", "cat,1,0,0,test"]
    file = manifest(tmp_path, rows, "file,labels,cat,dog,ox,split")
    one = load_dataset(str(file), multi_label=True, label_column="labels")
    each = load_dataset(str(file), multi_label=True, label_column="cat, dog, ox")
    assert one.content_hash == each.content_hash
    assert one.label_names == each.label_names


def test_without_the_setting_a_set_of_labels_is_one_class_as_before(tmp_path: Path) -> None:
    rows = ["cat|dog,train", "cat|dog,train", "dog,train", "dog,train", "dog,test"]
    file = manifest(tmp_path, rows, "file,labels,split")
    dataset = load_dataset(str(file))
    assert dataset.label_names == ("cat|dog", "dog")
    assert not dataset.multi_label


def test_rare_sets_of_labels_are_divided_too(tmp_path: Path) -> None:
    names = [f"{a}{b}" for a in "abcdefgh" for b in "xyz"]  # 24 labels; each set of two occurs once
    rows = [f"{one}|{two}" for one, two in zip(names * 2, names[5:] + names + names[:5], strict=True)]
    dataset = load_dataset(str(manifest(tmp_path, rows, "file,labels")), multi_label=True)
    assert (len(dataset.train), len(dataset.test)) == (38, 10)


@pytest.mark.parametrize(
    ("rows", "header", "column", "message"),
    [
        (["cat||dog", "dog"], "file,labels", "", r"line 2: an empty label in 'cat\|\|dog'"),
        (["1,2", "0,1"], "file,cat,dog", "cat,dog", "line 2: column dog is '2'"),
        (["1,1", "0,1"], "file,cat,dog", "cat,cow", "no column 'cow'"),
        (["1,1", "0,1"], "file,cat,dog", "cat,cat", "name one twice"),
        (["cat", "cat"], "file,labels", "", "1 label in labels"),
        (["cat|dog", "dog", "dog"], "file,labels", "", r"1 of 2 labels have too few training images: cat \(1\)"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, rows: list[str], header: str, column: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_dataset(str(manifest(tmp_path, rows, header)), multi_label=True, label_column=column)
    assert caught.value.hint


def test_other_sources_and_relabelling_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no manifest"):
        load_dataset("fashion-mnist-mini", multi_label=True)
    file = manifest(tmp_path, ["cat|dog,train", "dog,train", "dog,test"], "file,labels,split")
    dataset = load_dataset(str(file), multi_label=True)
    with pytest.raises(DataError, match="read as multi-label"):
        prepare(dataset, Preparation(classes=("cat", "dog")))
