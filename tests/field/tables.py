"""CSV files as people keep them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from field.case import DataCase
from field.written_sets import CLASSES, Maker, expect_same_pixels, expect_splits, written_images, written_labels


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
            for i, (image, label) in enumerate(zip(written_images(n), written_labels(n), strict=True))
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


CASES: tuple[DataCase, ...] = (
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
        verify=expect_same_pixels("columns", "the label is label (column 2); (no name) (column 1) counts the rows"),
    ),
    DataCase(
        "csv-with-an-id-and-the-label-last",
        _csv(["id", *PIXELS, "class"], lambda i, pixels, label: [f"a{i}", *pixels, CLASSES[label]]),
        labels=CLASSES,
        verify=expect_same_pixels("columns", "the label is class (column 38); id (column 1)"),
    ),
    DataCase(
        "csv-with-an-index-and-no-header",
        _csv(None, lambda i, pixels, label: [i, label, *pixels]),
        verify=expect_same_pixels(
            "columns", "column 1 counts the rows and was left out; column 2 is taken for the label"
        ),
    ),
    DataCase(
        "csv-with-an-index-and-no-label",
        _csv(None, lambda i, pixels, label: [i, *pixels]),
        error="no label column: column 1 only counts the rows",
    ),
    DataCase(
        "csv-with-a-label-of-another-name",
        _csv([*PIXELS, "garment"], lambda i, pixels, label: [*pixels, label]),
        verify=expect_same_pixels("columns", "garment (column 37) is taken for the label"),
    ),
    DataCase(
        "csv-with-numbers-for-a-header",
        _csv([str(i) for i in range(37)], _label_first),
        verify=expect_same_pixels("columns", "column 1 is taken for the label"),
    ),
    DataCase(
        "csv-with-text-labels-last-and-no-header",
        _csv(None, lambda i, pixels, label: [*pixels, CLASSES[label]]),
        labels=CLASSES,
        verify=expect_same_pixels("columns", "column 37, which holds text"),
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
        verify=expect_same_pixels("columns", ""),
    ),
    DataCase(
        "csv-with-semicolons-byte-order-mark-and-empty-lines-at-the-end",
        _csv(["label", *PIXELS], _label_first, encoding="utf-8-sig", delimiter=";", after="\n\r\n\n"),
        verify=expect_same_pixels("columns", ""),
    ),
    DataCase(
        "csv-with-float-labels",
        _csv(["label", *PIXELS], lambda i, pixels, label: [f"{label}.0", *pixels]),
        labels=("0", "1"),
        verify=expect_same_pixels("columns", ""),
    ),
    DataCase(
        "csv-rows-that-are-no-square",
        _csv(["label", *PIXELS[:24]], lambda i, pixels, label: [label, *pixels[:24]]),
        error="24 values each, which is not a square.*--size 4x6x1",
    ),
    DataCase(
        "csv-folder-with-three-parts",
        _csv_folder,
        verify=expect_splits(train=20, validation=8, test=6),
    ),
)
