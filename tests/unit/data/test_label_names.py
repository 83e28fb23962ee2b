"""Classes find their number in a model by name, also where a file system could not hold the name."""

from __future__ import annotations

import pytest

from edge_fm.data import label_order
from edge_fm_runtime.errors import DataError

MODEL = ("T-shirt/top", "Ankle boot", "Bag", "1-2", "12", "Größe", "!!", "Coat")


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (list(MODEL), list(range(8))),
        (["Bag", "Ankle boot"], [2, 1]),
        (["T-shirt_top", "ankle_boot", "BAG"], [0, 1, 2]),
        (["12", "1-2"], [4, 3]),  # the same letters and digits: distinguished by the exact name
        (["GRÖSSE"], [5]),
        (["Gro\u0308ße"], [5]),  # as macOS writes file names
    ],
)
def test_labels_are_found(labels: list[str], order: list[int]) -> None:
    assert label_order(labels, MODEL, name="photos").tolist() == order


@pytest.mark.parametrize("label", ["Shoe", "1_2", "??", ""])
def test_what_is_unknown_or_could_mean_two_is_refused(label: str) -> None:
    with pytest.raises(DataError, match=r"photos has images labelled[\s\S]*labels\.txt"):
        label_order(["Bag", label], MODEL, name="photos")


def test_two_labels_of_one_class_are_refused() -> None:
    with pytest.raises(DataError, match="Coat and coat, which both mean the model's Coat"):
        label_order(["Coat", "coat"], MODEL, name="photos")
