"""Datasets check themselves, their hash covers what they hold, and what describes them is right."""

from __future__ import annotations

import json

import numpy as np
import pytest
from datafiles import make_images

from edge_fm.data import Dataset, Split, contact_sheet, dataset_info, make_dataset
from edge_fm.data.dataset import hash_content
from edge_fm_runtime.errors import DataError

NAMES = ("T-shirt/top", "Ankle boot")


def make_split(n: int = 6, seed: int = 0, shape: tuple[int, int, int] = (6, 5, 1)) -> Split:
    return Split(make_images(n, shape, seed), np.arange(n) % 2)


def make(train: Split, test: Split, names: tuple[str, ...] = NAMES) -> Dataset:
    return make_dataset("toy", "toy", names, train, test)


def test_the_hash_covers_pixels_labels_names_and_shapes() -> None:
    train, test = make_split(), make_split(4, seed=1)
    base = hash_content(train, test, NAMES)
    pixel, label = train.images.copy(), train.labels.copy()
    pixel[0, 0, 0, 0] ^= 1
    label[0] = 1
    others = [
        (Split(pixel, train.labels), test, NAMES),
        (Split(train.images, label), test, NAMES),
        (train, test, ("T-shirt/top", "Bag")),
        (train, test, ("T-shirt/topAnkle boot",)),
        (test, train, NAMES),
        (Split(train.images.reshape(6, 5, 6, 1), train.labels), test, NAMES),
    ]
    assert hash_content(make_split(), make_split(4, seed=1), NAMES) == base
    assert len({base, *(hash_content(*other) for other in others)}) == len(others) + 1


@pytest.mark.parametrize(
    ("train", "names", "message"),
    [
        (Split(np.zeros((2, 6, 5, 1), np.float32), np.array([0, 1])), NAMES, "float32"),  # type: ignore[arg-type]
        (Split(np.zeros((2, 6, 5), np.uint8), np.array([0, 1])), NAMES, "N,H,W,C"),
        (Split(np.zeros((2, 6, 5, 1), np.uint8), np.array([0])), NAMES, "N,H,W,C"),
        (Split(np.zeros((0, 6, 5, 1), np.uint8), np.zeros(0, np.int64)), NAMES, "no images"),
        (Split(np.zeros((2, 6, 5, 1), np.uint8), np.array([0, 2])), NAMES, "label 2 at image 1"),
        (Split(np.zeros((2, 6, 5, 1), np.uint8), np.array([-1, 0])), NAMES, "label -1 at image 0"),
        (make_split(shape=(6, 6, 1)), NAMES, "training images are"),
        (make_split(), ("Bag", "Bag"), "occur twice: Bag"),
        (make_split(), ("caf\u00e9", "cafe\u0301"), r"'caf\\xe9' and 'cafe\\u0301' look the same"),
        (make_split(), ("red bag", "red  bag"), "'red bag' and 'red  bag' look the same"),
    ],
)
def test_what_does_not_fit_is_refused(train: Split, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make(train, make_split(4, seed=1), names)


def test_the_description_is_json_and_right() -> None:
    train, test = make_split(), make_split(4, seed=1)
    train.images[3] = train.images[0]
    test.images[2] = train.images[1]
    info = json.loads(json.dumps(dataset_info(make(train, test))))
    assert (info["name"], info["shape"], info["label_names"]) == ("toy", [6, 5, 1], list(NAMES))
    assert info["splits"]["train"] == {"n": 6, "balance": {"T-shirt/top": 3, "Ankle boot": 3}}
    assert info["duplicates"] == {"train": 1, "test": 0, "test_in_train": 1}
    assert len(info["hash"]) == 64


@pytest.mark.parametrize("shape", [(6, 5, 1), (6, 5, 3), (150, 100, 3), (1, 1, 1)])
def test_the_contact_sheet_shows_each_class(shape: tuple[int, int, int]) -> None:
    train = Split(np.full((9, *shape), 90, np.uint8), np.arange(9) % 2)
    train.images[train.labels == 1] = 200
    sheet = contact_sheet(make(train, Split(train.images[:2], train.labels[:2])), per_class=3)
    values = np.asarray(sheet.convert("L"))
    half = values.shape[0] // 2 + 10
    assert (values[:half] == 90).sum() > 3 * 40 and (values[half:] == 200).sum() > 3 * 40
    assert sheet.width < 600


def test_the_contact_sheet_says_what_it_cannot_do() -> None:
    with pytest.raises(DataError, match="no split 'validation'"):
        contact_sheet(make(make_split(), make_split()), "validation")
    two = Split(np.zeros((4, 3, 3, 2), np.uint8), np.arange(4) % 2)
    with pytest.raises(DataError, match="2 channels"):
        contact_sheet(make(two, two))


def test_a_label_that_no_artifact_could_hold_is_refused_before_training() -> None:
    split = Split(np.zeros((2, 4, 4, 1), np.uint8), np.array([0, 1]))
    assert make_dataset("toy", "toy", ("bag", "x" * 4096), split, split).shape == (4, 4, 1)
    with pytest.raises(DataError, match="has 10,000 characters; labels have up to 4,096"):
        make_dataset("toy", "toy", ("bag", "x" * 10_000), split, split)
