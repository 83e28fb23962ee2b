"""Arrays, tables and folders of images as users bring them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from field.case import Case, DataCase

CLASSES = ("bag", "coat")
Maker = Callable[[Path], Path]


def _images(n: int, shape: tuple[int, ...] = (6, 6), seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def _labels(n: int) -> np.ndarray[Any, Any]:
    return np.arange(n) % len(CLASSES)


def _npz(**arrays: Any) -> Maker:
    def make(folder: Path) -> Path:
        np.savez(folder / "set.npz", **arrays)
        return folder / "set.npz"

    return make


def _positional(folder: Path) -> Path:
    np.savez(folder / "set.npz", _images(20), _labels(20))
    return folder / "set.npz"


def _named(maker: Maker, names: bytes) -> Maker:
    def make(folder: Path) -> Path:
        (folder / "labels.txt").write_bytes(names)
        return maker(folder)

    return make


def _npy_files(folder: Path) -> Path:
    for part, n in (("train", 20), ("val", 8), ("test", 6)):
        np.save(folder / f"X_{part}.npy", _images(n, seed=n))
        np.save(folder / f"y_{part}.npy", np.eye(2)[_labels(n)])
    return folder


def _csv(
    header: Sequence[str] | None,
    rows: Callable[[int, list[int], int], list[Any]],
    *,
    encoding: str = "utf-8",
    delimiter: str = ",",
    end: str = "\n",
    after: str = "",
    n: int = 20,
) -> Maker:
    """A CSV file; `rows` makes a row of its number, its pixels and its label."""

    def make(folder: Path) -> Path:
        lines = [] if header is None else [delimiter.join(header)]
        lines += [
            delimiter.join(map(str, rows(i, image.reshape(-1).tolist(), int(label))))
            for i, (image, label) in enumerate(zip(_images(n), _labels(n), strict=True))
        ]
        (folder / "set.csv").write_bytes((end.join(lines) + end + after).encode(encoding))
        return folder / "set.csv"

    return make


PIXELS = [f"pixel{i}" for i in range(36)]


def _label_first(i: int, pixels: list[int], label: int) -> list[Any]:
    return [label, *pixels]


def _csv_folder(folder: Path) -> Path:
    for name, n in (("mnist_train", 20), ("mnist_valid", 8), ("mnist_test", 6)):
        _csv(["label", *PIXELS], _label_first, n=n)(folder).rename(folder / f"{name}.csv")
    (folder / "sample_submission.csv").write_text("ImageId,Label\n1,0\n")
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


def _splits(**expected: int) -> Callable[[Any], None]:
    def verify(dataset: Any) -> None:
        assert {name: len(split) for name, split in dataset.splits.items()} == expected

    return verify


def _same_pixels(note: str, said: str) -> Callable[[Any], None]:
    """The pixels are those that were written, each with its label, and the note says what was done."""

    def verify(dataset: Any) -> None:
        written = {(image.tobytes(), int(label)) for image, label in zip(_images(20), _labels(20), strict=True)}
        read = {
            (image.tobytes(), int(label))
            for split in dataset.splits.values()
            for image, label in zip(split.images, split.labels, strict=True)
        }
        assert read == written
        assert said in str(dataset.notes.get(note, ""))

    return verify


_ARRAYS: tuple[DataCase, ...] = (
    DataCase(
        "npz-one-hot-labels",
        _npz(x_train=_images(20), y_train=np.eye(2, dtype=np.float32)[_labels(20)]),
        labels=("0", "1"),
        verify=_same_pixels("labels", "one-hot rows of 2"),
    ),
    DataCase(
        "npz-one-hot-booleans-in-every-split",
        _npz(
            x_train=_images(20),
            y_train=np.eye(2, dtype=bool)[_labels(20)],
            x_test=_images(4, seed=1),
            y_test=np.eye(2, dtype=bool)[_labels(4)],
        ),
        train=20,
        test=4,
        verify=_splits(train=20, test=4),
    ),
    DataCase(
        "npz-probabilities-as-labels",
        _npz(images=_images(4), labels=np.full((4, 2), 0.5)),
        error=r"labels \[0.5, 0.5\] is not one-hot.*argmax",
    ),
    DataCase(
        "npz-several-classes-an-image",
        _npz(images=_images(4), labels=[[1, 0], [0, 1], [1, 1], [1, 0]]),
        error=r"image 2: the row of labels \[1, 1\] is not one-hot.*1 of 4",
    ),
    DataCase(
        "npz-labels-in-a-column",
        _npz(images=_images(20), labels=_labels(20)[:, None]),
        verify=_same_pixels("labels", ""),
    ),
    DataCase(
        "npz-labels-in-a-row", _npz(images=_images(20), labels=_labels(20)[None]), verify=_same_pixels("labels", "")
    ),
    DataCase(
        "npz-float-labels", _npz(images=_images(20), labels=_labels(20).astype(float)), labels=("0", "1"), train=16
    ),
    DataCase(
        "npz-labels-from-1",
        _npz(images=_images(20), labels=_labels(20) + 1),
        labels=("1", "2"),
        verify=_same_pixels("relabelled", "{'1': 0, '2': 1}"),
    ),
    DataCase(
        "npz-labels-from-1-with-names",
        _named(_npz(images=_images(20), labels=_labels(20) + 1), b"bag\ncoat\n"),
        labels=CLASSES,
        verify=_same_pixels("labels", "1 is bag"),
    ),
    DataCase(
        "npz-numbers-as-text",
        _npz(images=_images(20), labels=np.array(["2", "10"] * 10)),
        labels=("2", "10"),
        verify=_same_pixels("relabelled", "10"),
    ),
    DataCase(
        "npz-text-labels-in-the-order-of-the-names",
        _named(_npz(images=_images(20), labels=np.array(["coat", "bag"] * 10)), b"coat\nbag\n"),
        labels=("coat", "bag"),
    ),
    DataCase(
        "npz-text-label-without-a-name",
        _named(_npz(images=_images(20), labels=np.array(["coat", "hat"] * 10)), b"coat\nbag\n"),
        error="image 1: label 'hat' is none of the 2 label names: coat, bag",
    ),
    DataCase(
        "npz-bytes-that-are-no-text",
        _npz(images=_images(4), labels=np.array([b"\xff\xfe", b"a"] * 2)),
        error="a label is not UTF-8 text.*astype",
    ),
    DataCase(
        "npz-upper-case-names-without-a-test-split",
        _npz(X_train=_images(20), Y_train=_labels(20)),
        verify=_same_pixels("labels", ""),
    ),
    DataCase(
        "npz-of-medmnist",
        _npz(
            **{f"{part}_images": _images(n, (6, 6, 3), n) for part, n in (("train", 20), ("val", 8), ("test", 6))},
            **{f"{part}_labels": _labels(n)[:, None] for part, n in (("train", 20), ("val", 8), ("test", 6))},
        ),
        verify=_splits(train=20, validation=8, test=6),
    ),
    DataCase("npz-without-names", _positional, verify=_same_pixels("arrays", "arr_0 are taken for the images")),
    DataCase(
        "npz-swapped-names",
        _npz(x=_labels(20), y=_images(20)),
        error=r"images have the shape \[20\] and the labels \[20, 6, 6\]: they seem to be swapped",
    ),
    DataCase(
        "npz-says-what-it-did-not-read",
        _npz(images=_images(20), labels=_labels(20), x_extra=_images(3)),
        verify=_same_pixels("not_read", "x_extra"),
    ),
    DataCase(
        "npz-counted-by-the-last-axis",
        _npz(images=np.moveaxis(_images(20), 0, -1), labels=_labels(20)),
        error=r"6 images but 20 labels.*numpy\.moveaxis\(images, -1, 0\)",
    ),
    DataCase("npz-single-value", _npz(images=np.array(3), labels=np.array(1)), error="the images are a single value"),
    DataCase("folder-of-npy-files", _npy_files, verify=_splits(train=20, validation=8, test=6)),
)

_TABLES: tuple[DataCase, ...] = (
    DataCase(
        "csv-without-a-label-column",
        _csv(PIXELS, lambda i, pixels, label: pixels),
        error="has no label column: its columns are 'pixel0' to 'pixel35'.*Add a column called label",
    ),
    DataCase(
        "csv-of-pixels-alone-without-a-header",
        _csv(None, lambda i, pixels, label: pixels),
        error="has no label column: each of its 36 columns is needed for the pixels of a 6x6x1 image",
    ),
    DataCase(
        "csv-with-an-index-of-pandas",
        _csv(["", "label", *PIXELS], lambda i, pixels, label: [i, label, *pixels]),
        verify=_same_pixels("columns", "the label is label (column 2); (no name) (column 1) counts the rows"),
    ),
    DataCase(
        "csv-with-an-id-and-the-label-last",
        _csv(["id", *PIXELS, "class"], lambda i, pixels, label: [f"a{i}", *pixels, CLASSES[label]]),
        labels=CLASSES,
        verify=_same_pixels("columns", "the label is class (column 38); id (column 1)"),
    ),
    DataCase(
        "csv-with-an-index-and-no-header",
        _csv(None, lambda i, pixels, label: [i, label, *pixels]),
        verify=_same_pixels("columns", "column 1 counts the rows and was left out; column 2 is taken for the label"),
    ),
    DataCase(
        "csv-with-an-index-and-no-label",
        _csv(None, lambda i, pixels, label: [i, *pixels]),
        error="no label column: column 1 only counts the rows",
    ),
    DataCase(
        "csv-with-a-label-of-another-name",
        _csv([*PIXELS, "garment"], lambda i, pixels, label: [*pixels, label]),
        verify=_same_pixels("columns", "garment (column 37) is taken for the label"),
    ),
    DataCase(
        "csv-with-numbers-for-a-header",
        _csv([str(i) for i in range(37)], _label_first),
        verify=_same_pixels("columns", "column 1 is taken for the label"),
    ),
    DataCase(
        "csv-with-text-labels-last-and-no-header",
        _csv(None, lambda i, pixels, label: [*pixels, CLASSES[label]]),
        labels=CLASSES,
        verify=_same_pixels("columns", "column 37, which holds text"),
    ),
    DataCase(
        "csv-with-unknown-columns",
        _csv(["label", *PIXELS, "width", "source"], lambda i, pixels, label: [label, *pixels, 6, "web"]),
        error=r"width \(column 38\), source \(column 39\), which are neither the label nor pixels",
    ),
    DataCase(
        "csv-with-two-labels",
        _csv(["label", "class", *PIXELS], lambda i, pixels, label: [label, label, *pixels]),
        error=r"label \(column 1\), class \(column 2\), each of which could be the label",
    ),
    DataCase(
        "csv-of-file-names",
        _csv(["image_id", "label"], lambda i, pixels, label: [f"photo{i}.jpg", CLASSES[label]]),
        error="None of the .* images that .* names is there, such as .*photo0.jpg",
    ),
    DataCase(
        "csv-in-utf-16-with-windows-line-ends",
        _csv(["label", *PIXELS], _label_first, encoding="utf-16", delimiter="\t", end="\r\n"),
        verify=_same_pixels("columns", ""),
    ),
    DataCase(
        "csv-with-semicolons-byte-order-mark-and-empty-lines-at-the-end",
        _csv(["label", *PIXELS], _label_first, encoding="utf-8-sig", delimiter=";", after="\n\r\n\n"),
        verify=_same_pixels("columns", ""),
    ),
    DataCase(
        "csv-with-float-labels",
        _csv(["label", *PIXELS], lambda i, pixels, label: [f"{label}.0", *pixels]),
        labels=("0", "1"),
        verify=_same_pixels("columns", ""),
    ),
    DataCase(
        "csv-rows-that-are-no-square",
        _csv(["label", *PIXELS[:24]], lambda i, pixels, label: [label, *pixels[:24]]),
        error="24 values each, which is not a square.*--size 4x6x1",
    ),
    DataCase(
        "csv-folder-with-three-parts",
        _csv_folder,
        verify=_splits(train=20, validation=8, test=6),
    ),
)

_FOLDERS: tuple[DataCase, ...] = (
    DataCase(
        "images-in-train-val-and-test",
        _image_files({f"{part}/{name}": n for part, n in (("train", 6), ("val", 3), ("test", 2)) for name in CLASSES}),
        labels=CLASSES,
        verify=_splits(train=12, validation=6, test=4),
    ),
    DataCase(
        "images-in-train-and-valid",
        _image_files({f"{part}/{name}": n for part, n in (("train", 5), ("valid", 3)) for name in CLASSES}),
        verify=_splits(train=8, validation=6, test=2),
    ),
    DataCase("class-folder-with-an-underscore", _image_files({"_none": 4, "bag": 4}), labels=("_none", "bag")),
    DataCase("class-folder-called-like-formulas", _image_files({"$$": 4, r"$\frac{$": 4, "[/]": 4}), train=9, test=3),
)

CASES: tuple[Case, ...] = (*_ARRAYS, *_TABLES, *_FOLDERS)
