"""The recipe `photo`: when it is the one that is run, and how it fits itself to the photos that there are."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import edge_fm
from edge_fm.api.common.usual_recipe import usual_recipe
from edge_fm.api.train import TrainOptions, prepare_training
from edge_fm.data import Dataset
from edge_fm.models import efficientnet_lite_weights
from edge_fm.training import Recipe, load_recipe, with_overrides
from edge_fm.training.recipe.photo import fitted_to_photos
from edge_fm.training.search.crossval_folds import assign_folds
from edge_fm_runtime.errors import ModelError


def _folder(place: Path, size: tuple[int, int] = (90, 80), mode: str = "RGB", count: int = 5) -> Path:
    rng = np.random.default_rng(0)
    for label in ("cup", "pot"):
        (place / label).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).convert(mode).save(place / label / f"{number}.png")
    return place


def _usual(
    data: Path | str, size: tuple[int, int, int] | None = None, model: str | None = None
) -> tuple[str, list[str]]:
    notes: list[str] = []
    return usual_recipe(model, str(data), size, note=notes.append), notes


def test_colour_images_of_more_than_64_pixels_take_it_and_a_note_says_so(tmp_path: Path) -> None:
    photos = _folder(tmp_path / "photos")
    name, notes = _usual(photos)
    assert name == "photo"
    assert "the recipe photo is run" in notes[0] and "--recipe edgenet-s" in notes[0]
    table = tmp_path / "table.csv"
    with table.open("w", newline="") as file:
        rows = [[f"photos/{label}/{number}.png", label] for label in ("cup", "pot") for number in range(3)]
        csv.writer(file).writerows([["file", "label"], *rows])
    assert _usual(table)[0] == "photo"
    np.savez(tmp_path / "set.npz", images=np.zeros((3, 96, 70, 3), np.uint8), labels=np.arange(3))
    assert _usual(tmp_path / "set.npz")[0] == "photo"
    assert _usual(_folder(tmp_path / "small", (90, 60)), size=(96, 96, 3))[0] == "photo"


def test_small_and_grey_images_and_named_models_do_not(tmp_path: Path) -> None:
    assert _usual(_folder(tmp_path / "small", (90, 64))) == ("edgenet-s", [])
    assert _usual(_folder(tmp_path / "grey", mode="L")) == ("edgenet-s", [])
    photos = _folder(tmp_path / "photos")
    assert _usual(photos, size=(64, 64, 3))[0] == "edgenet-s"
    assert _usual(photos, size=(96, 96, 1))[0] == "edgenet-s"
    assert _usual(photos, model="edgenet-m")[0] == "edgenet-s"
    assert _usual(photos, model="resnet18")[0] == "transfer"
    assert _usual("fashion-mnist")[0] == "edgenet-s"
    np.savez(tmp_path / "grey.npz", images=np.zeros((3, 96, 70, 1), np.uint8), labels=np.arange(3))
    assert _usual(tmp_path / "grey.npz")[0] == "edgenet-s"
    assert _usual(tmp_path / "missing")[0] == "edgenet-s", "loading says that it is not there"


def test_few_photos_train_few_layers_and_many_all() -> None:
    recipe = load_recipe("photo")
    few, some, many = (fitted_to_photos(recipe, images)[0] for images in (160, 3_000, 100_000))
    assert (few.model.freeze_until, some.model.freeze_until, many.model.freeze_until) == ("block6a", "block6a", "")
    assert few.model.frozen_statistics and not many.model.frozen_statistics
    assert few.training.batch_size < some.training.batch_size
    steps = [r.training.epochs * (n // r.training.batch_size) for r, n in ((few, 160), (some, 3_000), (many, 100_000))]
    assert 200 <= steps[0] <= steps[1] <= steps[2] <= 40_000
    assert (few.training.keep, some.training.keep) == ("last", "best")
    assert many.augmentation.crop < some.augmentation.crop
    other = fitted_to_photos(with_overrides(recipe, model="convnext-tiny"), 3_000)[0]
    assert other.model.freeze_until == "", "no stage of it is known to begin its last third"


def test_what_the_user_sets_stays() -> None:
    recipe = with_overrides(load_recipe("photo"), epochs=3, freeze=["backbone"])
    fitted, line = fitted_to_photos(recipe, 160, given={"training.epochs", "model.freeze"})
    assert (fitted.training.epochs, fitted.model.freeze, fitted.model.freeze_until) == (3, "backbone", "")
    assert "3 epochs of 10 steps, with a frozen backbone" in line
    fresh, line = fitted_to_photos(with_overrides(load_recipe("photo"), weights="none"), 160)
    assert fresh.training.head_epochs == 0 and "from fresh weights" in line


def test_a_folder_of_photos_is_prepared_without_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite_weights, "published_file", lambda name: tmp_path)
    notes: list[str] = []
    prepared = prepare_training(data=str(_folder(tmp_path / "photos")), note=notes.append)
    recipe = prepared.recipe
    assert (recipe.name, recipe.model.name, recipe.model.options["size"]) == ("photo", "efficientnet-lite0", 192)
    assert prepared.dataset.shape == (192, 192, 3)
    assert recipe.photo.mode == "stretch"
    assert any("fitted to" in note for note in notes)
    smaller = prepare_training(data=str(tmp_path / "photos"), options=TrainOptions(size=(96, 80, 3), epochs=2))
    assert (smaller.recipe.model.options["size"], smaller.recipe.training.epochs) == (96, 2)
    assert smaller.dataset.shape == (96, 80, 3)


@pytest.mark.needs("tensorflow")
def test_studies_of_a_folder_of_photos_take_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite_weights, "published_file", lambda name: tmp_path)
    taken: dict[str, tuple[Recipe, tuple[int, ...]]] = {}

    def record(name: str) -> Callable[..., Any]:
        def study(recipe: Recipe, *given: Any, **_: Any) -> Any:
            data = next(iter(part for part in given if hasattr(part, "shape")), None)
            taken[name] = (recipe, () if data is None else data.shape)
            return [] if name == "sweep" else None

        return study

    for module, function in (("crossval", "cross_validate"), ("search", "search"), ("sweep", "sweep")):
        monkeypatch.setattr(f"edge_fm.training.search.{module}.{function}", record(module))
    notes: list[str] = []
    photos = str(_folder(tmp_path / "photos", count=150))
    edge_fm.crossval(data=photos, folds=5, out=tmp_path / "c", note=notes.append)
    edge_fm.search(data=photos, out=tmp_path / "s", epochs=3, note=notes.append)
    edge_fm.sweep({"training.batch_size": [8, 48]}, data=photos, out=tmp_path / "w", note=notes.append)
    for recipe, shape in taken.values():
        assert (recipe.name, recipe.model.options["size"]) == ("photo", 192)
        assert shape in ((), (192, 192, 3))
    said = [re.search(r"fitted to (\d+) photos", note) for note in notes]
    # 240 of the 300 images are the training split and 216 of these are learned from; a fold learns from four fifths.
    assert [int(found[1]) for found in said if found] == [173, 216, 216]
    assert taken["crossval"][0].training.batch_size == 16
    assert taken["search"][0].training.epochs == 3
    assert taken["sweep"][0].training.batch_size == load_recipe("photo").training.batch_size, "the grid sets it"


@pytest.mark.needs("tensorflow")
def test_folds_of_photos_keep_groups_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite_weights, "published_file", lambda name: tmp_path)
    taken: list[Dataset] = []
    monkeypatch.setattr("edge_fm.training.search.crossval.cross_validate", lambda _, data, *a, **k: taken.append(data))
    _folder(tmp_path / "photos", count=24)
    rows = [
        [f"photos/{label}/{number}.png", label, f"person {number // 4}"]
        for label in ("cup", "pot")
        for number in range(24)
    ]
    with (tmp_path / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "label", "sender"], *rows])
    edge_fm.crossval(data=str(tmp_path / "table.csv"), group="sender", folds=3, out=tmp_path / "out")
    split = taken[0].train
    folds = assign_folds(split, folds=3, seed=0)
    people = [{split.groups[row] for row in np.flatnonzero(folds == fold)} for fold in range(3)]
    assert all(people) and not (people[0] & people[1] or people[0] & people[2] or people[1] & people[2])


def test_without_its_weights_it_says_so_before_anything_is_read(tmp_path: Path) -> None:
    if efficientnet_lite_weights.PUBLISHED.get("efficientnet-lite4"):
        pytest.skip("there is a package for it")
    options = TrainOptions(model="efficientnet-lite4")
    with pytest.raises(ModelError, match="No package carries") as caught:
        prepare_training("photo", str(tmp_path / "missing"), options=options)
    assert "--weights" in (caught.value.hint or "")
