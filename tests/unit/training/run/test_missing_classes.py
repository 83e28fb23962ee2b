"""Classes without validation or test images are named before a run, in its advice, and where it is exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from datafiles import write_images
from strokes_data import LABELS, make_dataset, make_recipe, make_split

from edge_fm.api.common.original import evaluation_data
from edge_fm.data import Split
from edge_fm.data.label_sets import label_sets
from edge_fm.training import train
from edge_fm.training.run.advice import notes_of_missing_classes
from edge_fm_export.sources import load_source

FULL = make_split(8, seed=2)


def without(split: Split, *classes: int) -> Split:
    return split.take(np.flatnonzero(~np.isin(split.labels, classes)))


def test_nothing_is_said_where_every_class_is_there() -> None:
    assert notes_of_missing_classes(make_dataset(make_split(20, seed=1), FULL), FULL, test=True) == ()


def test_each_split_is_named_with_the_classes_that_it_lacks() -> None:
    dataset = make_dataset(make_split(20, seed=1), without(FULL, 1, 2))
    (line,) = notes_of_missing_classes(dataset, FULL, test=True)
    assert line == (
        "2 of 3 classes (Ankle boot, Bag) have no test images: the test figures say nothing about them. "
        "Add images to the test split."
    )
    assert notes_of_missing_classes(dataset, FULL, test=False) == ()
    first, second = notes_of_missing_classes(dataset, without(FULL, 0), test=True)
    assert first.startswith("1 of 3 classes (T-shirt/top) has no validation images") and second == line
    (both,) = notes_of_missing_classes(dataset, without(FULL, 1, 2), test=True)
    assert "have no validation and no test images" in both


def test_groups_have_another_way_out() -> None:
    train_split = replace(make_split(20, seed=1), groups=tuple("abcdefghij" * 6))
    (line,) = notes_of_missing_classes(make_dataset(train_split, without(FULL, 1)), FULL, test=True)
    assert line.endswith("Add images from other groups, or read the source without groups: --group none")


def test_labels_of_a_multi_label_dataset_are_missing_where_no_image_has_them() -> None:
    names = ("", "cat", "cat|dog", "dog")
    assert label_sets(names).names == ("cat", "dog")
    images = np.zeros((4, 12, 14, 1), np.uint8)
    dataset = replace(
        make_dataset(Split(images, np.arange(4)), Split(images[:2], np.array([0, 1]))),
        label_names=names,
        multi_label=True,
    )
    (line,) = notes_of_missing_classes(dataset, dataset.train, test=True)
    assert line.startswith("1 of 2 labels (dog) has no test images")


def test_a_run_says_so_before_it_trains_and_keeps_it(tmp_path: Path) -> None:
    dataset, notes = make_dataset(make_split(20, seed=1), without(FULL, 1)), list[str]()
    before: list[int] = []
    result = train(
        make_recipe(), dataset, tmp_path / "run", note=notes.append, on_epoch=lambda *_: before.append(len(notes))
    )
    said = [i for i, line in enumerate(notes) if line.startswith("1 of 3 classes (Ankle boot) has no test images")]
    assert said and said[0] < before[0]
    assert result.metrics["advice"][0] == notes[said[0]]


def test_an_export_says_which_classes_its_evaluation_set_lacks(tmp_path: Path) -> None:
    train(make_recipe(), make_dataset(make_split(20, seed=1), FULL), tmp_path / "run")
    original = load_source(tmp_path / "run")
    write_images(tmp_path / "all", {name.replace("/", "_"): 4 for name in LABELS})
    assert evaluation_data(str(tmp_path / "all"), original).note is None
    write_images(tmp_path / "some", {"Bag": 4, "T-shirt_top": 4})
    note = evaluation_data(str(tmp_path / "some"), original).note
    assert note is not None
    assert note.startswith("1 of 3 classes (Ankle boot) has no image in the evaluation set, some test: accuracy is not")
