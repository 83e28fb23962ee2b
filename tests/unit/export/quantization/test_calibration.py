"""Calibration sets: stratified, seeded, known by their hash."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fm_export.quantization.calibration import batches, calibration_set, hash_images
from edge_fm_runtime.errors import DataError


def pixels(n: int) -> np.ndarray:
    """Images that carry their own number."""
    images = np.zeros((n, 3, 3, 1), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 1, 0] = np.arange(n) % 256, np.arange(n) // 256
    return images


def numbers(images: np.ndarray) -> list[int]:
    return (images[:, 0, 0, 0].astype(int) + 256 * images[:, 0, 1, 0].astype(int)).tolist()


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    share=st.floats(0.01, 1.0),
    seed=st.integers(0, 5),
)
def test_each_class_has_its_share(counts: list[int], share: float, seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    samples = max(1, int(share * len(labels)))
    drawn = calibration_set(pixels(len(labels)), labels, samples=samples, seed=seed)
    assert drawn.labels is not None
    selected = numbers(drawn.images)
    assert len(set(selected)) == len(selected) == samples
    np.testing.assert_array_equal(labels[selected], drawn.labels)
    for label, count in enumerate(counts):
        assert abs(int((drawn.labels == label).sum()) - samples * count / len(labels)) < 1


def test_the_seed_decides() -> None:
    images, labels = pixels(300), np.arange(300) % 7
    one, same = (calibration_set(images, labels, samples=50, seed=1) for _ in range(2))
    other = calibration_set(images, labels, samples=50, seed=2)
    assert one.sha256 == same.sha256 != other.sha256
    assert one.sha256 == hash_images(one.images, one.labels)


@pytest.mark.parametrize(("there", "drawn"), [(1, 1), (267, 267), (300, 300), (301, 300)])
def test_unasked_it_takes_the_usual_number_or_what_there_is(there: int, drawn: int) -> None:
    assert len(calibration_set(pixels(there), None).images) == drawn


def test_without_labels() -> None:
    drawn = calibration_set(pixels(40), None, samples=10, seed=0)
    assert drawn.labels is None and len(set(numbers(drawn.images))) == 10


@pytest.mark.parametrize("samples", [0, -1, 41])
def test_too_few_images_say_how_many_there_are(samples: int) -> None:
    with pytest.raises(DataError, match="40") as caught:
        calibration_set(pixels(40), None, samples=samples)
    assert "--samples" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (np.zeros((4, 3, 3), np.uint8), None),
        (np.zeros((4, 3, 3, 1), np.float32), None),
        (np.zeros((4, 3, 3, 1), np.uint8), np.zeros(3, np.int64)),
        (np.zeros((0, 3, 3, 1), np.uint8), None),
    ],
)
def test_what_is_no_set_is_refused(images: np.ndarray, labels: np.ndarray | None) -> None:
    with pytest.raises(DataError):
        calibration_set(images, labels, samples=1)


def test_fixed_batches_are_filled_up() -> None:
    cut = [numbers(batch) for batch in batches(pixels(10), static=4)]
    assert cut == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]
    assert [len(batch) for batch in batches(pixels(10), static=None, size=6)] == [6, 4]
    assert [numbers(batch) for batch in batches(pixels(2), static=5)] == [[0, 1, 0, 1, 0]]
