"""Splits by group: no group on two sides, whatever the source, the split and the seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from datafiles import make_images, write_images
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fm.data import Preparation, Split, load_dataset, prepare, split_validation
from edge_fm.data.splitting.groups import fold_groups, hold_out_groups
from edge_fm.data.splitting.order import permutation
from edge_fm.training import Recipe, with_overrides
from edge_fm.training.input_pipeline.recipe_data import training_and_validation
from edge_fm.training.search.crossval_folds import assign_folds
from edge_fm_runtime.errors import DataError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty images of each of two classes by ten people, and a file that names these."""
    root = write_images(tmp_path_factory.mktemp("images"), {"cat": 20, "dog": 20})
    lines = [f"{name}/{i:03d}.png,{name},p{i % 10}" for name in ("cat", "dog") for i in range(20)]
    (root / "index.csv").write_text("\n".join(["file,label,person", *lines]) + "\n")
    return root


def apart(*splits: Split) -> bool:
    named = [set(split.groups) for split in splits]
    return all(named) and sum(map(len, named)) == len(set().union(*named))


@pytest.mark.parametrize(
    ("source", "group"),
    [("index.csv", "person"), ("", "index.csv:person"), ("", r"(\d)\.png$"), ("index.csv", r"(\d)\.png$")],
)
def test_every_way_to_name_groups_keeps_them_together(source: str, group: str, folder: Path) -> None:
    dataset = load_dataset(str(folder / source), group=group)
    train, validation = training_and_validation(Recipe(), dataset)
    assert apart(train, validation, dataset.test)
    assert len(dataset.test) == 8 and np.bincount(dataset.test.labels).tolist() == [4, 4]
    assert "2 of the 10 groups" in dataset.notes["test"] and dataset.notes["groups"].startswith("10, ")
    again = load_dataset(str(folder / source), group=group)
    assert again.content_hash == dataset.content_hash


def test_a_column_called_group_is_used_unless_it_is_refused(folder: Path) -> None:
    manifest = folder / "grouped.csv"
    manifest.write_text((folder / "index.csv").read_text().replace("person", "group", 1))
    assert apart(load_dataset(str(manifest)).train, load_dataset(str(manifest)).test)
    assert not load_dataset(str(manifest), group="none").train.groups
    manifest.unlink()


@pytest.mark.parametrize(
    ("group", "message", "hint"),
    [
        ("person", "it has no column 'person'", "--group index.csv:person"),
        ("index.csv:people", "no column 'people'; it has file, label, person", "A group is a column"),
        ("list.csv:person", "there is no file", "A group is a column"),
        ("x(.)", r"40 of the 40 images have no group: cat/000.png does not fit", "Every image needs one"),
        ("(.)(.)", "2 pairs of parentheses", r"\(\?:"),
        ("(", "not a regular expression", "A group is a column"),
    ],
)
def test_groups_that_are_not_to_be_had(group: str, message: str, hint: str, folder: Path) -> None:
    with pytest.raises(DataError, match=message) as error:
        load_dataset(str(folder), group=group)
    assert hint.replace("\\", "") in (error.value.hint or "")


def test_an_image_of_two_groups_is_refused_however_it_is_spelled(folder: Path, tmp_path: Path) -> None:
    lines = (folder / "index.csv").read_text().splitlines()
    (folder / "twice.csv").write_text("\n".join([*lines, "./cat/../cat/003.png,cat,p3"]) + "\n")
    assert load_dataset(str(folder), group="twice.csv:person").train.groups, "the same group twice is no contradiction"
    (folder / "twice.csv").write_text("\n".join([*lines, "./cat/../cat/003.png,cat,p4"]) + "\n")
    with pytest.raises(
        DataError, match=r"twice.csv, line 42: .*cat/003.png is of the group 'p4' here and of 'p3' before"
    ):
        load_dataset(str(folder), group="twice.csv:person")
    (folder / "twice.csv").unlink()


def test_folds_of_groups_of_equal_size_are_those_of_exact_arithmetic() -> None:
    """Ties are decided by the order of the folds, not by what the CPU's BLAS rounds."""
    for seed, (classes, people, folds) in enumerate([(3, 20, 5), (7, 23, 4), (29, 41, 5), (12, 30, 7)]):
        per = np.random.default_rng(seed).integers(1, 4, classes)
        labels = np.tile(np.repeat(np.arange(classes), per), people)
        groups = [f"p{person:02}" for person in range(people) for _ in range(per.sum())]
        assigned = fold_groups(labels, groups, folds=folds, seed=seed).reshape(people, -1)
        drawn = permutation(people, 7, seed)
        np.testing.assert_array_equal(assigned[drawn], np.tile(np.arange(people)[:, None] % folds, per.sum()))


def test_a_group_in_two_splits_of_the_sources_own_is_refused(folder: Path) -> None:
    lines = (folder / "index.csv").read_text().splitlines()
    parts = ["split", *(["train"] * 16 + ["test"] * 4) * 2]
    manifest = folder / "own.csv"
    manifest.write_text("\n".join(f"{line},{part}" for line, part in zip(lines, parts, strict=True)) + "\n")
    with pytest.raises(DataError, match=r"4 groups have images in the train.* split and in the test split: p6, p7, p8"):
        load_dataset(str(manifest), group="person")
    assert len(load_dataset(str(manifest)).test) == 8
    manifest.unlink()


def test_what_a_recipe_splits_anew_and_cross_validates_keeps_groups_together(folder: Path) -> None:
    dataset = load_dataset(str(folder / "index.csv"), group="person")
    again = prepare(dataset, Preparation(pool=True, split=(0.6, 0.2, 0.2), split_seed=3))
    recipe = with_overrides(Recipe(), seed=1)
    assert apart(*training_and_validation(recipe, again), again.test)
    folds = assign_folds(dataset.train, folds=4, seed=0)
    for fold in range(4):
        inside, outside = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        assert apart(dataset.train.take(inside), dataset.train.take(outside))
        assert len(inside) == 8


@settings(max_examples=60, deadline=None)
@given(
    owners=st.lists(st.integers(0, 12), min_size=8, max_size=120),
    fraction=st.floats(0.05, 0.5),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_group_is_divided_and_every_class_can_be_learned(owners: list[int], fraction: float, seed: int) -> None:
    labels = np.arange(len(owners)) % 3
    split = Split(make_images(len(owners), (2, 2, 1)), labels, (), tuple(map(str, owners)))
    try:
        train, held = split_validation(split, fraction=fraction, seed=seed)
    except DataError:  # one group alone has a class in each way to select
        return
    assert apart(train, held)
    assert len(train) + len(held) == len(split) and set(train.labels.tolist()) == set(labels.tolist())
    assert len(set(held.groups)) <= max(1, int(2 * fraction * len(set(owners))))


def test_a_group_with_most_of_the_images_does_not_drag_the_others_along() -> None:
    labels = np.arange(4200) % 4
    groups = ["big"] * 4000 + [f"small{i % 10}" for i in range(200)]
    held = hold_out_groups(labels, groups, fraction=0.2, seed=0, leave=2)
    assert {groups[i] for i in held.tolist()}.issubset({f"small{i}" for i in range(10)})
    assert len({groups[i] for i in held.tolist()}) == 4


def test_too_few_groups_are_an_error_that_says_how_to_do_without() -> None:
    labels = np.array([0, 1, 0, 1])
    for groups, message in ((["a"] * 4, "1 group, too few"), (["a", "b", "a", "b"], "No group can be held out")):
        with pytest.raises(DataError, match=message) as error:
            hold_out_groups(labels, groups, fraction=0.2, seed=0)
        assert "--group none" in (error.value.hint or "")
    with pytest.raises(DataError, match="2 groups, fewer than 3 folds"):
        fold_groups(labels, ["a", "a", "b", "b"], folds=3, seed=0)
    with pytest.raises(DataError, match="Class 0 has images of one group alone"):
        fold_groups(labels, ["a", "b", "a", "b"], folds=2, seed=0)
