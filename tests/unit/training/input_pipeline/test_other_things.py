"""Other things: their targets are even, they weigh what the recipe says, and held-out groups' are left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_fm.data import load_dataset
from edge_fm.training import load_recipe
from edge_fm.training.input_pipeline.batches import epoch_batches
from edge_fm.training.input_pipeline.class_balance import class_weights
from edge_fm.training.input_pipeline.other_things import with_other_things
from edge_fm.training.input_pipeline.recipe_data import load_recipe_data, training_and_validation
from edge_fm.training.recipe import Recipe
from edge_fm.training.recipe.file import parse_recipe
from edge_fm_runtime.errors import TrainingError


def _manifest(path: Path, rows: list[tuple[str, str, str]]) -> str:
    for number, (name, _, _) in enumerate(rows):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path.parent / name)
    path.write_text("file,class,sender\n" + "".join(",".join(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    senders = [f"s{number}" for number in range(8)]
    photos = [(f"{sender}{label}{n}.png", label, sender) for sender in senders for label in "ab" for n in range(3)]
    other = [(f"o{sender}{label}.png", label, sender) for sender in senders for label in ("hat", "shorts")]
    return parse_recipe(
        f"""
        [data]
        source = "{_manifest(tmp_path / "photos.csv", photos)}"
        group = "sender"
        other_things = "{_manifest(tmp_path / "other.csv", other)}"
        other_things_weight = 0.25
        validation = 0.2
        [training]
        batch_size = 8
        """
    )


def test_other_things_of_held_out_groups_are_left_out(recipe: Recipe) -> None:
    dataset = load_recipe_data(recipe)
    train, validation = training_and_validation(recipe, dataset)
    said: list[str] = []
    learned = with_other_things(recipe, dataset, train, validation, note=said.append)
    # Two photos of other things by each sender that is learned from.
    count = 2 * len(set(train.groups))
    assert len(learned) == len(train) + count
    assert (learned.labels[len(train) :] == 2).all() and (learned.labels[: len(train)] < 2).all()
    assert said[0].startswith(f"{count} images of other things")


def test_their_targets_are_even_and_weigh_what_the_recipe_says(recipe: Recipe) -> None:
    dataset = load_recipe_data(recipe)
    learned = with_other_things(recipe, dataset, *training_and_validation(recipe, dataset))
    batches = epoch_batches(learned.images, learned.labels, recipe, classes=2, epoch=0)
    seen = [batches[index] for index in range(len(batches))]
    targets, weights = (np.concatenate([batch[part] for batch in seen]) for part in (1, 2))
    even = (targets == 0.5).all(axis=1)
    assert 0 < even.sum() < len(even)
    assert (weights[even] == 0.25).all() and (weights[~even] == 1).all()


def test_a_recipe_without_them_learns_from_its_images_alone() -> None:
    recipe = load_recipe("quickstart")
    dataset = load_dataset("fashion-mnist-mini")
    train, validation = training_and_validation(recipe, dataset)
    assert with_other_things(recipe, dataset, train, validation) is train


def test_other_things_of_nobody_that_is_learned_from_are_an_error(recipe: Recipe, tmp_path: Path) -> None:
    dataset = load_recipe_data(recipe)
    train, validation = training_and_validation(recipe, dataset)
    held_out = sorted({*validation.groups, *dataset.test.groups})
    rows = [(f"x{sender}{label}.png", label, sender) for sender in held_out for label in ("hat", "cap")]
    _manifest(tmp_path / "other.csv", rows)
    with pytest.raises(TrainingError, match="holds no image of a group"):
        with_other_things(recipe, dataset, train, validation)


def test_teachers_know_no_other_things(recipe: Recipe) -> None:
    dataset = load_recipe_data(recipe)
    taught = replace(recipe, distillation=replace(recipe.distillation, teacher=("edgenet-s",)))
    with pytest.raises(TrainingError, match="cannot be used together"):
        with_other_things(taught, dataset, *training_and_validation(recipe, dataset))


def test_square_root_weights_lie_between_none_and_balanced() -> None:
    labels = np.repeat([0, 1], [90, 10])
    found = {
        kind: class_weights(parse_recipe(f'[training]\nclass_weights = "{kind}"'), labels, 2)
        for kind in ("balanced", "square-root")
    }
    assert found["balanced"] is not None and found["square-root"] is not None
    assert found["balanced"][1] / found["balanced"][0] == pytest.approx(9)
    assert found["square-root"][1] / found["square-root"][0] == pytest.approx(3)
    assert np.average(found["square-root"], weights=[90, 10]) == pytest.approx(1)
