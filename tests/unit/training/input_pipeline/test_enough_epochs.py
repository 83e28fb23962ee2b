"""Few images get more epochs than a shipped recipe has, and a note on what helps; a user's own number stays."""

from __future__ import annotations

import dataclasses
import itertools
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edge_fm.cli import cli
from edge_fm.data import Dataset, Split
from edge_fm.training import Recipe, TrainingPart, load_recipe, with_overrides
from edge_fm.training.input_pipeline.enough_epochs import (
    ENOUGH_STEPS,
    is_recipe_file,
    with_enough_epochs,
    with_epochs_of_steps,
)
from edge_fm.training.recipe.keys import with_keys
from edge_fm_runtime.errors import RecipeError

PHOTOS = "my photos"


def _data(n: int, *, validation: Split | None = None) -> Dataset:
    images = np.random.default_rng(0).integers(0, 256, (n, 4, 4, 3), dtype=np.uint8)
    split = Split(images, np.arange(n) % 2)
    few = Split(images[:4], np.arange(4) % 2)
    return Dataset(PHOTOS, PHOTOS, ("bag", "coat"), split, few, "0" * 64, validation=validation)


def _recipe(**changes: int) -> Recipe:
    recipe = with_overrides(load_recipe("edgenet-s"), data=PHOTOS, **changes)  # type: ignore[arg-type]
    return dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, shape=(32, 32, 3)))


def test_870_photos_get_a_thousand_steps_instead_of_48() -> None:
    recipe, lines = with_enough_epochs(_recipe(), _data(870), given=False)
    assert recipe.training.epochs == 167 and recipe.training.epochs * 6 >= ENOUGH_STEPS
    assert (
        "782 images to learn from are 6 steps an epoch: 167 epochs, 1,002 steps instead of the recipe's 8, 48"
        in lines[0]
    )
    assert recipe.augmentation.clean_epochs == _recipe().augmentation.clean_epochs
    assert not any("Warning" in line for line in lines)


def test_a_validation_split_of_its_own_leaves_more_to_learn_from() -> None:
    own = Split(np.zeros((4, 4, 4, 3), np.uint8), np.arange(4) % 2)
    recipe, _ = with_enough_epochs(_recipe(), _data(1024, validation=own), given=False)
    assert recipe.training.epochs == 125


def test_epochs_that_were_given_stay_and_few_are_warned_of() -> None:
    recipe, lines = with_enough_epochs(_recipe(epochs=8), _data(870), given=True)
    assert recipe == _recipe(epochs=8)
    assert "8 epochs of 6 steps are 48 steps in all, too few" in lines[0] and lines[0].endswith("--epochs 167")
    _, lines = with_enough_epochs(_recipe(epochs=1), _data(870), given=True)
    assert "1 epoch of 6 steps is 6 steps in all" in lines[0]
    _, lines = with_enough_epochs(_recipe(), _data(60), given=False)
    assert "200 epochs of 1 step are 200 steps in all" in lines[1] and lines[1].endswith("--batch-size 6")


def test_enough_images_change_and_say_nothing() -> None:
    recipe, lines = with_enough_epochs(_recipe(), _data(20_000), given=False)
    assert recipe == _recipe() and lines == []


@pytest.mark.needs("tensorflow")
def test_the_command_for_transfer_learning_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, lines = with_enough_epochs(_recipe(), _data(870), given=False)
    words = shlex.split(lines[-1].partition(": ")[2])
    assert words[-4:] == ["--data", PHOTOS, "--size", "192x192x3"]
    monkeypatch.chdir(tmp_path)
    # Everything before the photos are opened is taken: the recipe, the size.
    done = CliRunner().invoke(cli, words[1:])
    assert isinstance(done.exception, SystemExit) and done.exit_code == 1 and f"no dataset '{PHOTOS}'" in done.stderr
    transfer = with_overrides(load_recipe("transfer"), model="mobilenet-v2", data=PHOTOS)
    longer, lines = with_enough_epochs(transfer, _data(870), given=False)
    assert longer.training.epochs == 50 and len(lines) == 1  # it is what would be pointed to


def test_the_command_for_transfer_learning_keeps_groups_and_classes() -> None:
    recipe = _recipe()
    data = dataclasses.replace(
        recipe.data,
        group="sender",
        label_column="class",
        classes=("Coat", "Top"),
        relabel={'a "b"': "Top"},
        skip_unreadable=0.02,
    )
    recipe = dataclasses.replace(recipe, data=data)
    _, lines = with_enough_epochs(recipe, _data(870), given=False)
    words = shlex.split(lines[-1].partition(": ")[2])
    assert words[:4] == ["edgefm", "train", "--recipe", "photo"]
    given = [word.split("=", 1) for option, word in itertools.pairwise(words) if option == "--set"]
    again = with_keys(load_recipe("photo"), {key: tomllib.loads(f"value = {text}")["value"] for key, text in given})
    assert again.data.classes == ("Coat", "Top") and again.data.relabel == {'a "b"': "Top"}
    assert words[words.index("--group") + 1] == "sender" and words[words.index("--label-column") + 1] == "class"
    assert words[words.index("--skip-unreadable") + 1] == "0.02"


def test_a_file_is_told_from_a_name() -> None:
    assert is_recipe_file("mine.toml") and is_recipe_file("./mine") and not is_recipe_file("edgenet-s")
    with pytest.raises(RecipeError):
        load_recipe("mine")


def test_steps_become_the_epochs_that_come_nearest() -> None:
    recipe = Recipe(training=TrainingPart(steps=100, batch_size=16, epochs=7))
    assert with_epochs_of_steps(recipe, 330).training == TrainingPart(epochs=5, batch_size=16)
    assert with_epochs_of_steps(recipe, 10_000).training.epochs == 1
    assert with_epochs_of_steps(Recipe(), 330) == Recipe()
