"""Splits are stratified, seeded, apart from each other, and the same with every version of NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from datafiles import make_images
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fm.data import Split, split_validation
from edge_fm.data.splitting.order import permutation
from edge_fm_runtime.errors import DataError


def make_split(counts: list[int], seed: int = 0) -> Split:
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int64)
    return Split(make_images(len(labels), seed=seed), labels)


def rows(split: Split) -> set[bytes]:
    return {image.tobytes() for image in split.images}


@settings(max_examples=50, deadline=None)
@given(
    counts=st.lists(st.integers(2, 40), min_size=1, max_size=6),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32 - 1),
)
def test_each_class_keeps_its_share_and_nothing_is_lost(counts: list[int], fraction: float, seed: int) -> None:
    split = make_split(counts)
    train, held = split_validation(split, fraction=fraction, seed=seed)
    assert len(train) + len(held) == len(split)
    assert not rows(train) & rows(held)
    assert rows(train) | rows(held) == rows(split)
    for label, count in enumerate(counts):
        got = int((held.labels == label).sum())
        assert 1 <= got <= count - 1
        assert abs(got - count * fraction) <= 1


def test_the_seed_decides() -> None:
    split = make_split([30, 30])
    first, again, other = (split_validation(split, fraction=0.3, seed=seed)[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.images, again.images)
    assert rows(first) != rows(other)


def test_the_order_is_pinned() -> None:
    # A change here changes every split that anybody ever drew.
    assert permutation(8, 0, 3).tolist() == [4, 3, 6, 2, 5, 7, 1, 0]


def test_images_and_labels_stay_together() -> None:
    split = make_split([10, 10, 10])
    of = {image.tobytes(): label for image, label in zip(split.images, split.labels, strict=True)}
    for part in split_validation(split, fraction=0.5, seed=0):
        assert all(of[i.tobytes()] == n for i, n in zip(part.images, part.labels, strict=True))


def test_copies_of_an_image_never_stand_on_both_sides() -> None:
    split = make_split([20, 20])
    split.images[5:10] = split.images[0]
    split.images[25] = split.images[0]  # a copy under another label
    for seed in range(20):
        train, held = split_validation(split, fraction=0.4, seed=seed)
        assert not rows(train) & rows(held)
        assert np.bincount(held.labels).tolist() == [8, 8]


def test_a_class_of_copies_alone_is_still_divided() -> None:
    split = Split(np.zeros((10, 2, 2, 1), np.uint8), np.repeat([0, 1], 5).astype(np.int64))
    _, held = split_validation(split, fraction=0.2, seed=0)
    assert np.bincount(held.labels).tolist() == [1, 1]


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(DataError, match="above 0 and below 1"):
        split_validation(make_split([4]), fraction=fraction, seed=0)


def test_nothing_to_hold_out_is_said() -> None:
    with pytest.raises(DataError, match="no class has two"):
        split_validation(make_split([1, 1]), fraction=0.5, seed=0)
