"""Image folders: parts, preprocessing, copies, and every image that cannot be read."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from datafiles import write_images
from PIL import Image

from edge_fm.data import Preparation, dataset_info, load_dataset, prepare
from edge_fm.training.input_pipeline.leakage import note_of_conflicts, notes_of_copies
from edge_fm.training.input_pipeline.recipe_data import notes_of_preparation, training_and_validation
from edge_fm.training.recipe import Recipe
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import DataError


@pytest.mark.parametrize("name", ["val", "valid", "Validation", "dev"])
def test_folder_with_train_validation_and_test(name: str, tmp_path: Path) -> None:
    counts = {"Ankle boot": 3, "Bag": 4}
    for seed, part in enumerate(("train", name, "test")):
        write_images(tmp_path / part, counts, seed=seed)
    said: list[str] = []
    dataset = load_dataset(str(tmp_path), note=said.append)
    assert dataset.label_names == ("Ankle boot", "Bag")
    assert {part: len(split) for part, split in dataset.splits.items()} == {"train": 7, "validation": 7, "test": 7}
    assert dataset.validation is not None
    given = {np.asarray(Image.open(p)).tobytes() for p in (tmp_path / name).rglob("*.png")}
    assert {image.tobytes() for image in dataset.validation.images} == given
    learn, validation = training_and_validation(Recipe(), dataset)
    assert learn is dataset.train and validation is dataset.validation
    assert notes_of_preparation(Recipe(), dataset) == []
    assert said == [
        "Training images: 7 of train/.",
        f"Validation images: 7 of {name}/, not trained on.",
        "Test images: 7 of test/, which evaluate the model.",
    ]


@pytest.mark.parametrize("name", ["val", "Validation", "valid", "dev"])
def test_folder_with_train_and_validation(name: str, tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"a": 10, "b": 10})
    write_images(tmp_path / name, {"a": 2, "b": 1}, seed=1)
    said: list[str] = []
    dataset = load_dataset(str(tmp_path), note=said.append)
    assert dataset.validation is not None
    assert np.bincount(dataset.validation.labels).tolist() == [2, 1]
    assert (len(dataset.train), len(dataset.test)) == (16, 4)
    assert said == [
        "Training images: the other 16.",
        f"Validation images: 3 of {name}/, not trained on.",
        "Test images: 4 out of the 20 of train/: 20% of each class, drawn with seed 0.",
    ]


def test_folder_with_train_and_test(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"a": 4, "b": 4})
    write_images(tmp_path / "test", {"a": 2, "b": 1}, seed=1)
    dataset = load_dataset(str(tmp_path))
    assert np.bincount(dataset.test.labels).tolist() == [2, 1] and dataset.validation is None


def test_parts_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"a": 4, "b": 4})
    write_images(tmp_path / "holdout", {"a": 4, "b": 4}, seed=1)
    with pytest.raises(DataError, match="beside it, holdout/, which is the name of no part"):
        load_dataset(str(tmp_path))
    write_images(tmp_path / "val", {"a": 4, "b": 4}, seed=2)
    said: list[str] = []
    load_dataset(str(tmp_path), note=said.append)
    assert any(line.startswith("Not read: holdout/ (parts are called train") for line in said)
    write_images(tmp_path / "valid", {"a": 4, "b": 4}, seed=3)
    with pytest.raises(DataError, match="val/ and valid/, which both mean the validation images"):
        load_dataset(str(tmp_path))


def test_classes_may_be_called_like_a_part_or_begin_with_an_underscore(tmp_path: Path) -> None:
    write_images(tmp_path, {"train": 3, "_bus": 3, "car": 3})
    assert load_dataset(str(tmp_path)).label_names == ("_bus", "car", "train")


def test_training_images_that_validation_has_too_can_be_dropped(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"a": 6, "b": 6})
    write_images(tmp_path / "val", {"a": 1, "b": 1}, seed=3)
    write_images(tmp_path / "test", {"a": 2, "b": 2}, seed=2)
    for label in "ab":
        shutil.copyfile(tmp_path / "train" / label / "000.png", tmp_path / "val" / label / "copy.png")
    dataset = load_dataset(str(tmp_path))
    copies = dataset_info(dataset)["duplicates"]["validation_in_train"]
    assert dataset.validation is not None
    (note,) = notes_of_copies(dataset.train, dataset.validation, dataset.test, drawn=False)
    assert copies == 2 and "2 of the 4 validation images" in note and "deduplicate=true" in note
    assert note_of_conflicts(dataset, test=True) == ""
    clean = prepare(dataset, Preparation(deduplicate=True))
    assert clean.notes["duplicates_removed"]["in_validation"] == copies
    assert clean.validation is not None and len(clean.train) == 12 - copies
    assert notes_of_copies(clean.train, clean.validation, clean.test, drawn=False) == []


def test_copies_with_another_label_are_named_and_none_of_them_is_dropped(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"a": 6, "b": 6})
    write_images(tmp_path / "val", {"a": 1, "b": 1}, seed=3)
    write_images(tmp_path / "test", {"a": 2, "b": 2}, seed=2)
    shutil.copyfile(tmp_path / "train/a/002.png", tmp_path / "train/b/copy.png")
    shutil.copyfile(tmp_path / "test/a/000.png", tmp_path / "train/b/tested.png")
    dataset = load_dataset(str(tmp_path))
    assert dataset_info(dataset)["label_conflicts"] == [
        {"files": ["train/a/002.png", "train/b/copy.png"], "labels": ["a", "b"]},
        {"files": ["train/b/tested.png", "test/a/000.png"], "labels": ["b", "a"]},
    ]
    said = note_of_conflicts(dataset, test=True)
    assert said.startswith("2 images have copies with another label: train/a/002.png (a) = train/b/copy.png (b), ")
    assert note_of_conflicts(dataset, test=False).startswith("1 image has copies with another label")
    assert dataset.validation is not None
    (note,) = notes_of_copies(dataset.train, dataset.validation, dataset.test, drawn=False, droppable=False)
    assert note.endswith("Move them out of training or test.")
    for asked in (Preparation(deduplicate=True), Preparation(deduplicate=True, pool=True, split=(0.6, 0.2, 0.2))):
        with pytest.raises(DataError, match=r"cannot be dropped from .*train/b/copy.png \(b\)") as caught:
            prepare(dataset, asked)
        assert "delete the copies whose labels are wrong" in str(caught.value.hint)


def test_a_split_anew_may_pool_validation_images(tmp_path: Path) -> None:
    for seed, part in enumerate(("train", "val", "test")):
        write_images(tmp_path / part, {"a": 10, "b": 10}, seed=seed)
    dataset = prepare(load_dataset(str(tmp_path)), Preparation(pool=True, split=(0.5, 0.25, 0.25)))
    assert dataset.validation is None and (len(dataset.train), len(dataset.test)) == (45, 15)
    relabelled = prepare(load_dataset(str(tmp_path)), Preparation(relabel={"a": "x"}))
    assert relabelled.validation is not None and len(relabelled.validation) == 20


def test_folder_goes_through_the_photo_preprocessing(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.new("RGB", (40, 20), (200, 200, 200 + i)).save(tmp_path / name / f"{i}.jpg")
    dataset = load_dataset(str(tmp_path), shape=(20, 20, 1), photo=PhotoSpec(mode="fit", fill=7))
    canvas = dataset.train.images[0, :, :, 0]
    assert (canvas[:4] == 7).all() and (canvas[6:14] > 190).all()


def test_folder_takes_the_common_size_and_kind_of_its_image(tmp_path: Path) -> None:
    write_images(tmp_path, {"a": 3, "b": 3}, size=(8, 6))
    (tmp_path / "a" / "Thumbs.db").write_bytes(b"junk")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / ".git").mkdir()
    assert load_dataset(str(tmp_path)).shape == (6, 8, 1)
    Image.new("RGB", (8, 6), "red").save(tmp_path / "b" / "red.png")
    dataset = load_dataset(str(tmp_path))
    assert dataset.shape == (6, 8, 3) and dataset.label_names == ("a", "b")
    assert {tuple(i[0, 0]) for s in (dataset.train, dataset.test) for i in s.images} >= {(255, 0, 0)}
    Image.new("L", (9, 6)).save(tmp_path / "b" / "wide.png")
    with pytest.raises(DataError, match=r"wide\.png has 9x6 pixels.*8x6[\s\S]*--size"):
        load_dataset(str(tmp_path))


def test_folder_lists_every_image_that_cannot_be_read(tmp_path: Path) -> None:
    write_images(tmp_path, {"a": 3, "b": 3})
    (tmp_path / "a" / "cut.png").write_bytes((tmp_path / "a" / "000.png").read_bytes()[:40])
    (tmp_path / "b" / "page.jpg").write_text("<html>")
    (tmp_path / "b" / "empty.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="3 of 9 images cannot be read") as caught:
        load_dataset(str(tmp_path))
    assert all(name in str(caught.value) for name in ("cut.png", "page.jpg", "empty.jpg"))


def test_copies_of_a_image_never_stand_on_both_sides(tmp_path: Path) -> None:
    write_images(tmp_path, {"a": 10, "b": 10})
    for i in range(3):
        (tmp_path / "a" / f"copy{i}.png").write_bytes((tmp_path / "a" / "000.png").read_bytes())
    for seed in range(10):
        dataset = load_dataset(str(tmp_path), test_seed=seed)
        assert dataset_info(dataset)["duplicates"]["test_in_train"] == 0


def test_folder_classes_with_too_few_images_are_named(tmp_path: Path) -> None:
    write_images(tmp_path, {"a": 4, "b": 1, "c": 0})
    with pytest.raises(DataError, match=r"2 of 3 classes.*b \(1\), c \(0\)"):
        load_dataset(str(tmp_path))


def test_folder_with_one_part_alone_is_refused(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"a": 4, "b": 4})
    with pytest.raises(DataError, match="has the part train alone"):
        load_dataset(str(tmp_path))


@pytest.mark.parametrize(
    ("sizes", "mode", "fits"),
    [
        (((3000, 4000), (1200, 900)), "RGB", "224x224x3"),
        (((100, 80), (90, 120)), "RGB", "64x64x3"),
        (((28, 30), (40, 41)), "L", "28x28x1"),
        (((9, 12), (20, 20)), "L", "9x9x1"),
    ],
)
def test_the_size_that_is_proposed_fits_the_image(
    sizes: tuple[tuple[int, int], ...], mode: str, fits: str, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(4):
            Image.new(mode, sizes[i % 2], i).save(tmp_path / name / f"{i}.png")
    with pytest.raises(DataError) as caught:
        load_dataset(str(tmp_path))
    assert f"--size {fits} " in str(caught.value.hint)
    height, width, channels = map(int, fits.split("x"))
    assert load_dataset(str(tmp_path), shape=(height, width, channels)).shape == (height, width, channels)


def test_a_class_may_be_missing_in_evaluation_but_not_in_training(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"a": 4, "b": 4, "c": 4})
    write_images(tmp_path / "test", {"a": 2, "b": 1}, seed=1)
    dataset = load_dataset(str(tmp_path))
    assert dataset.label_names == ("a", "b", "c") and len(dataset.test) == 3
    write_images(tmp_path / "test", {"C": 2}, seed=2)
    with pytest.raises(DataError, match=r"1 of 4 classes have too few training images: C \(0\)") as caught:
        load_dataset(str(tmp_path))
    assert caught.value.hint is not None and "capitals" in caught.value.hint


@pytest.mark.parametrize("parts", [(".",), ("train", "test")])
def test_a_folder_around_the_classes_makes_no_class_of_them_all(parts: tuple[str, ...], tmp_path: Path) -> None:
    for seed, part in enumerate(parts):
        write_images(tmp_path / part / "images", {"a": 4, "b": 4}, seed=seed)
    with pytest.raises(DataError, match=r"a single class, images.*2 folders of images: a/, b/") as caught:
        load_dataset(str(tmp_path))
    assert caught.value.hint is not None
    if parts == (".",):
        assert caught.value.hint.endswith(str(tmp_path / "images"))
        assert load_dataset(str(tmp_path / "images")).label_names == ("a", "b")


def test_a_class_whose_folder_has_a_name_in_another_encoding_is_an_error(tmp_path: Path) -> None:
    write_images(tmp_path, {"a": 4, "b": 4})
    try:
        (tmp_path / "b").rename(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    with pytest.raises(DataError, match=r"the label 'caf\\udce9' is not text"):
        load_dataset(str(tmp_path))


def test_a_folder_without_validation_images_says_which_are_drawn(tmp_path: Path) -> None:
    write_images(tmp_path, {"a": 20, "b": 20})
    (note,) = notes_of_preparation(Recipe(), load_dataset(str(tmp_path)))
    assert note.startswith("Validation images: 10% of each class's training images, drawn with seed ")
    assert note.endswith("--set data.validation=0.2")
    (note,) = notes_of_preparation(
        replace(Recipe(), data=replace(Recipe().data, validation=0.2)), load_dataset(str(tmp_path))
    )
    assert note.startswith("Validation images: 20%") and note.endswith("--set data.validation=0.1")


def test_validation_images_are_not_said_to_select_where_the_last_epoch_is_kept(tmp_path: Path) -> None:
    write_images(tmp_path, {"a": 20, "b": 20})
    recipe = Recipe()
    for keep, said in (("best", "they select the best epoch"), ("last", "the last epoch is kept")):
        recipe = replace(recipe, training=replace(recipe.training, keep=keep))
        (note,) = notes_of_preparation(recipe, load_dataset(str(tmp_path)))
        assert said in note
