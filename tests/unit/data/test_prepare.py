"""Other classes, other splits, fewer images: what is asked for, and never the same image on both sides."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pytest

from edge_fm.data import Dataset, Preparation, Split, load_dataset, make_dataset, prepare, prepare_as_trained
from edge_fm.data.splits import hold_out_count
from edge_fm_export.gate.fingerprints import fingerprints
from edge_fm_runtime.errors import DataError

NAMES = ("T-shirt/top", "Trouser", "Pullover", "Dress")


def make(per_class: tuple[int, ...] = (40, 30, 20, 10), test: int = 5, source: str = "garments") -> Dataset:
    """Every image another one; its first pixel is its class."""
    rng = np.random.default_rng(0)

    def split(counts: tuple[int, ...]) -> Split:
        labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
        images = rng.integers(0, 256, (len(labels), 5, 5, 1), dtype=np.uint8)
        images[:, 0, 0, 0] = labels
        return Split(images, labels)

    return make_dataset(source, source, NAMES, split(per_class), split((test,) * len(NAMES)))


def counts(split: Split) -> list[int]:
    return np.bincount(split.labels).tolist()


def test_nothing_asked_nothing_done() -> None:
    dataset = make()
    assert prepare(dataset, Preparation()) is dataset


def test_classes_are_merged_selected_and_ordered() -> None:
    pairs = {"T-shirt/top": "top", "Pullover": "top", "Trouser": "legs"}
    merged = prepare(make(), Preparation(relabel=pairs))
    assert merged.label_names == ("top", "legs", "Dress")
    assert (counts(merged.train), counts(merged.test)) == ([60, 30, 10], [10, 5, 5])
    first = merged.train.images[:, 0, 0, 0]
    assert set(first[merged.train.labels == 0]) == {0, 2}
    selected = prepare(make(), Preparation(relabel=pairs, classes=("Dress", "top")))
    assert selected.label_names == ("Dress", "top")
    assert (counts(selected.train), counts(selected.test)) == ([10, 60], [5, 10])
    assert set(selected.train.images[selected.train.labels == 0][:, 0, 0, 0]) == {3}
    assert "top (T-shirt/top + Pullover)" in selected.notes["classes"]
    assert "1 class left out" in selected.notes["classes"]
    assert len({merged.content_hash, selected.content_hash, make().content_hash}) == 3


@pytest.mark.parametrize(
    ("preparation", "says"),
    [
        (Preparation(relabel={"Trousers": "legs"}), "Did you mean 'Trouser'?"),
        (Preparation(classes=("Trouser", "Pulover")), "Did you mean 'Pullover'?"),
        (Preparation(relabel={"Trouser": "legs"}, classes=("Trouser", "Dress")), "no such class"),
        (Preparation(classes=("Trouser",)), "at least two"),
        (Preparation(classes=("Trouser", "Trouser")), "different ones"),
        (Preparation(relabel=dict.fromkeys(NAMES, "garment")), "at least two"),
        (Preparation(samples=101), "has 100"),
        (Preparation(split=(90, 10, 10)), "are 100"),
        (Preparation(pool=True, split=(100, 10, 20)), "are 120"),
    ],
)
def test_what_cannot_be(preparation: Preparation, says: str) -> None:
    with pytest.raises(DataError, match=says.replace("?", r"\?")):
        prepare(make(), preparation)


@pytest.mark.parametrize(
    ("preparation", "train", "test"),
    [
        (Preparation(split=(80, 10, 10)), 90, 10),
        (Preparation(split=(0.8, 0.1, 0.1)), 90, 10),
        (Preparation(split=(50, 10, 20)), 60, 20),
        (Preparation(pool=True, split=(80, 20, 20)), 100, 20),
        (Preparation(pool=True, split=(0.5, 0.25, 0.25)), 90, 30),
    ],
)
def test_splits_have_the_size_asked_for_and_nothing_in_common(preparation: Preparation, train: int, test: int) -> None:
    dataset = make()
    made = prepare(dataset, preparation)
    assert (len(made.train), len(made.test)) == (train, test)
    keys = set(fingerprints(made.train.images)), set(fingerprints(made.test.images))
    assert not keys[0] & keys[1]
    assert (len(keys[0]), len(keys[1])) == (train, test)
    whole = np.array([45, 35, 25, 15] if preparation.pool else [40, 30, 20, 10])
    assert np.abs(np.array(counts(made.test)) - whole * test / whole.sum()).max() < 1
    before = set(fingerprints(dataset.test.images))
    assert bool(before & (keys[0] | keys[1])) == preparation.pool
    assert ("pooled" in made.notes["test"]) == preparation.pool
    again, other = prepare(make(), preparation), prepare(make(), Preparation(**{**vars(preparation), "split_seed": 1}))
    assert again.content_hash == made.content_hash != other.content_hash


def test_samples_keep_the_shares_and_the_test_split() -> None:
    made = prepare(make(), Preparation(samples=33))
    assert counts(made.train) == [13, 10, 7, 3]
    np.testing.assert_array_equal(made.test.images, make().test.images)


def test_copies_are_dropped_and_counted() -> None:
    dataset = make()
    images, labels = dataset.train.images.copy(), dataset.train.labels.copy()
    images[7], images[50], images[60] = images[3], images[3], dataset.test.images[2]
    images[61] = images[60]
    labels[[7, 50]], labels[[60, 61]] = labels[3], dataset.test.labels[2]
    copied = make_dataset("copied", "copied", NAMES, Split(images, labels), dataset.test)
    made = prepare(copied, Preparation(deduplicate=True))
    assert made.notes["duplicates_removed"] == {"repeated": 2, "in_test": 2}
    kept = [i for i in range(100) if i not in (7, 50, 60, 61)]
    np.testing.assert_array_equal(made.train.images, images[kept])
    np.testing.assert_array_equal(made.test.images, dataset.test.images)
    pooled = prepare(copied, Preparation(deduplicate=True, pool=True, split=(0.5, 0.25, 0.25)))
    assert pooled.notes["duplicates_removed"] == {"repeated": 4, "in_test": 0}
    keys = fingerprints(pooled.train.images) + fingerprints(pooled.test.images)
    assert len(keys) == len(set(keys)) == 116


def test_copies_that_would_be_on_both_sides_are_refused() -> None:
    images = np.zeros((20, 2, 2, 1), np.uint8)
    images[:10] += 1
    labels = np.repeat([0, 1], 10)
    dataset = make_dataset("copies", "copies", ("a", "b"), Split(images, labels), Split(images[:1] + 9, labels[:1]))
    with pytest.raises(DataError, match="deduplicate = true"):
        prepare(dataset, Preparation(split=(10, 5, 5)))


def test_evaluation_sees_what_was_kept_from_the_model() -> None:
    asked = Preparation(
        relabel={"T-shirt/top": "top", "Pullover": "top"}, classes=("Trouser", "top"), pool=True, split=(60, 10, 30)
    )
    described = Preparation.from_json(json.loads(json.dumps(asked.to_json())))
    assert described == asked
    made = prepare(make(), asked)
    again = prepare_as_trained(make(), described, trained_on="garments")
    assert again.content_hash == made.content_hash
    elsewhere = prepare_as_trained(make(source="others"), described, trained_on="garments")
    assert elsewhere.label_names == ("Trouser", "top")
    assert (len(elsewhere.train), len(elsewhere.test)) == (90, 15)


def test_data_that_already_have_the_new_classes_stay_as_they_are() -> None:
    described = Preparation(relabel={"T-shirt/top": "top", "Pullover": "top"}, classes=("Trouser", "top"))
    ready = prepare(make(), described)
    assert prepare_as_trained(ready, described, trained_on="fashion-mnist").content_hash == ready.content_hash


@pytest.mark.parametrize("described", [3, {"classes": "a"}, {"pool": 1}, {"import": "os"}, {"samples": "9"}])
def test_a_preparation_that_is_none_is_refused(described: Mapping[str, object]) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        Preparation.from_json(described)


def test_pairs_of_the_mini_set() -> None:
    dataset = load_dataset("fashion-mnist-mini")
    names = dataset.label_names
    pairs = {names[i]: f"{names[i - i % 2]} or {names[i - i % 2 + 1]}" for i in range(10)}
    made = prepare(dataset, Preparation(relabel=pairs, split=(4800, 600, 600)))
    assert (len(made.label_names), counts(made.train), counts(made.test)) == (5, [1080] * 5, [120] * 5)


@pytest.mark.parametrize("count", [1, 7, 50, 99])
def test_an_exact_count_is_held_out(count: int) -> None:
    labels = make().train.labels
    keys = [bytes([i]) for i in range(100)]
    held = hold_out_count(keys, labels, count=count, seed=0)
    assert len(held) == len(set(held.tolist())) == count
    with pytest.raises(DataError, match="1 to 99"):
        hold_out_count(keys, labels, count=100, seed=0)
