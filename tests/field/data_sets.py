"""Arrays, tables and folders of images as users bring them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from field.case import Case, DataCase
from field.written_sets import CLASSES, Maker, expect_same_pixels, expect_splits, written_images, written_labels


def _npz(**arrays: Any) -> Maker:
    def make(folder: Path) -> Path:
        np.savez(folder / "set.npz", **arrays)
        return folder / "set.npz"

    return make


def _positional(folder: Path) -> Path:
    np.savez(folder / "set.npz", written_images(20), written_labels(20))
    return folder / "set.npz"


def _named(maker: Maker, names: bytes) -> Maker:
    def make(folder: Path) -> Path:
        (folder / "labels.txt").write_bytes(names)
        return maker(folder)

    return make


def _npy_files(folder: Path) -> Path:
    for part, n in (("train", 20), ("val", 8), ("test", 6)):
        np.save(folder / f"X_{part}.npy", written_images(n, seed=n))
        np.save(folder / f"y_{part}.npy", np.eye(2)[written_labels(n)])
    return folder


def _image_files(counts: dict[str, int], *, kind: str = "L", sizes: Sequence[tuple[int, int]] = ((6, 6),)) -> Maker:
    def make(folder: Path) -> Path:
        rng = np.random.default_rng(0)
        for name, count in counts.items():
            (folder / name).mkdir(parents=True)
            for i in range(count):
                width, height = sizes[i % len(sizes)]
                axes = (height, width) if kind == "L" else (height, width, 3)
                Image.fromarray(rng.integers(0, 256, axes, dtype=np.uint8)).save(folder / name / f"{i}.png")
        return folder

    return make


_ARRAYS: tuple[DataCase, ...] = (
    DataCase(
        "npz-one-hot-labels",
        _npz(x_train=written_images(20), y_train=np.eye(2, dtype=np.float32)[written_labels(20)]),
        labels=("0", "1"),
        verify=expect_same_pixels("labels", "one-hot rows of 2"),
    ),
    DataCase(
        "npz-one-hot-booleans-in-every-split",
        _npz(
            x_train=written_images(20),
            y_train=np.eye(2, dtype=bool)[written_labels(20)],
            x_test=written_images(4, seed=1),
            y_test=np.eye(2, dtype=bool)[written_labels(4)],
        ),
        train=20,
        test=4,
        verify=expect_splits(train=20, test=4),
    ),
    DataCase(
        "npz-probabilities-as-labels",
        _npz(images=written_images(4), labels=np.full((4, 2), 0.5)),
        error=r"labels \[0.5, 0.5\] is not one-hot.*argmax",
    ),
    DataCase(
        "npz-several-classes-an-image",
        _npz(images=written_images(4), labels=[[1, 0], [0, 1], [1, 1], [1, 0]]),
        error=r"image 2: the row of labels \[1, 1\] is not one-hot.*1 of 4",
    ),
    DataCase(
        "npz-labels-in-a-column",
        _npz(images=written_images(20), labels=written_labels(20)[:, None]),
        verify=expect_same_pixels("labels", ""),
    ),
    DataCase(
        "npz-labels-in-a-row",
        _npz(images=written_images(20), labels=written_labels(20)[None]),
        verify=expect_same_pixels("labels", ""),
    ),
    DataCase(
        "npz-float-labels",
        _npz(images=written_images(20), labels=written_labels(20).astype(float)),
        labels=("0", "1"),
        train=16,
    ),
    DataCase(
        "npz-labels-from-1",
        _npz(images=written_images(20), labels=written_labels(20) + 1),
        labels=("1", "2"),
        verify=expect_same_pixels("relabelled", "{'1': 0, '2': 1}"),
    ),
    DataCase(
        "npz-labels-from-1-with-names",
        _named(_npz(images=written_images(20), labels=written_labels(20) + 1), b"bag\ncoat\n"),
        labels=CLASSES,
        verify=expect_same_pixels("labels", "1 is bag"),
    ),
    DataCase(
        "npz-numbers-as-text",
        _npz(images=written_images(20), labels=np.array(["2", "10"] * 10)),
        labels=("2", "10"),
        verify=expect_same_pixels("relabelled", "10"),
    ),
    DataCase(
        "npz-text-labels-in-the-order-of-the-names",
        _named(_npz(images=written_images(20), labels=np.array(["coat", "bag"] * 10)), b"coat\nbag\n"),
        labels=("coat", "bag"),
    ),
    DataCase(
        "npz-text-label-without-a-name",
        _named(_npz(images=written_images(20), labels=np.array(["coat", "hat"] * 10)), b"coat\nbag\n"),
        error="image 1: label 'hat' is none of the 2 label names: coat, bag",
    ),
    DataCase(
        "npz-bytes-that-are-no-text",
        _npz(images=written_images(4), labels=np.array([b"\xff\xfe", b"a"] * 2)),
        error="a label is not UTF-8 text.*astype",
    ),
    DataCase(
        "npz-upper-case-names-without-a-test-split",
        _npz(X_train=written_images(20), Y_train=written_labels(20)),
        verify=expect_same_pixels("labels", ""),
    ),
    DataCase(
        "npz-of-medmnist",
        _npz(
            **{
                f"{part}_images": written_images(n, (6, 6, 3), n)
                for part, n in (("train", 20), ("val", 8), ("test", 6))
            },
            **{f"{part}_labels": written_labels(n)[:, None] for part, n in (("train", 20), ("val", 8), ("test", 6))},
        ),
        verify=expect_splits(train=20, validation=8, test=6),
    ),
    DataCase("npz-without-names", _positional, verify=expect_same_pixels("arrays", "arr_0 are taken for the images")),
    DataCase(
        "npz-swapped-names",
        _npz(x=written_labels(20), y=written_images(20)),
        error=r"images have the shape \[20\] and the labels \[20, 6, 6\]: they seem to be swapped",
    ),
    DataCase(
        "npz-says-what-it-did-not-read",
        _npz(images=written_images(20), labels=written_labels(20), x_extra=written_images(3)),
        verify=expect_same_pixels("not_read", "x_extra"),
    ),
    DataCase(
        "npz-counted-by-the-last-axis",
        _npz(images=np.moveaxis(written_images(20), 0, -1), labels=written_labels(20)),
        error=r"6 images but 20 labels.*numpy\.moveaxis\(images, -1, 0\)",
    ),
    DataCase("npz-single-value", _npz(images=np.array(3), labels=np.array(1)), error="the images are a single value"),
    DataCase("folder-of-npy-files", _npy_files, verify=expect_splits(train=20, validation=8, test=6)),
)


_FOLDERS: tuple[DataCase, ...] = (
    DataCase(
        "images-in-train-val-and-test",
        _image_files({f"{part}/{name}": n for part, n in (("train", 6), ("val", 3), ("test", 2)) for name in CLASSES}),
        labels=CLASSES,
        verify=expect_splits(train=12, validation=6, test=4),
    ),
    DataCase(
        "images-in-train-and-valid",
        _image_files({f"{part}/{name}": n for part, n in (("train", 5), ("valid", 3)) for name in CLASSES}),
        verify=expect_splits(train=8, validation=6, test=2),
    ),
    DataCase("class-folder-with-an-underscore", _image_files({"_none": 4, "bag": 4}), labels=("_none", "bag")),
    DataCase("class-folder-called-like-formulas", _image_files({"$$": 4, r"$\frac{$": 4, "[/]": 4}), train=9, test=3),
)

CASES: tuple[Case, ...] = (*_ARRAYS, *_FOLDERS)
