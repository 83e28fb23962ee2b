"""Which images are held out, and that a run says so where what it starts from has learned from them."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from strokes_data import make_recipe

from edge_fm.data import Dataset
from edge_fm.training import DistillationPart, Recipe, RunResult, parse_recipe, recipe_hash, train, with_overrides
from edge_fm.training.leakage import find_leaks
from edge_fm.training.recipe_data import learn_and_choose
from edge_fm_runtime.errors import ModelError, RecipeError


def short(*teachers: str | Path, seed: int = 7, **data: object) -> Recipe:
    recipe = make_recipe()
    return dataclasses.replace(
        recipe,
        seed=seed,
        data=dataclasses.replace(recipe.data, **data),
        training=dataclasses.replace(recipe.training, epochs=1),
        augmentation=dataclasses.replace(recipe.augmentation, clean_epochs=0),
        distillation=DistillationPart(teacher=tuple(map(str, teachers))),
    )


def held_out(recipe: Recipe, dataset: Dataset) -> set[bytes]:
    _, choose = learn_and_choose(recipe, dataset)
    return {image.tobytes() for image in choose.images}


@pytest.fixture(scope="module")
def teacher(strokes: Dataset, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return train(short(), strokes, tmp_path_factory.mktemp("teacher") / "run", test=False)


@pytest.mark.parametrize("data", [{}, {"split": (0.6, 0.2, 0.2)}])
def test_validation_seed_holds_out_the_same_images_for_every_seed(strokes: Dataset, data: dict[str, object]) -> None:
    one, two = (held_out(short(seed=seed, **data), strokes) for seed in (1, 2))
    assert one != two
    for seed in (1, 2, 3):
        assert held_out(short(seed=seed, validation_seed=2, **data), strokes) == two


def test_a_recipe_without_validation_seed_keeps_its_hash_and_one_with_it_has_another() -> None:
    text = "seed = 3\n[data]\nvalidation = 0.1\n"
    assert parse_recipe(text).data.validation_seed is None
    hashes = {recipe_hash(parse_recipe(text + more)) for more in ("", "validation_seed = 0\n", "validation_seed = 3\n")}
    assert len(hashes) == 3
    kept = with_overrides(parse_recipe(text + "validation_seed = 5\n"), data="some/folder")
    assert kept.data.validation_seed == 5
    for wrong, says in (("-1", "supported: 0 to"), (str(2**32), "supported: 0 to"), ("true", "whole number")):
        with pytest.raises(RecipeError, match=says):
            parse_recipe(f"[data]\nvalidation_seed = {wrong}\n")


def test_a_teacher_that_knows_the_validation_images_is_told(
    teacher: RunResult, strokes: Dataset, tmp_path: Path
) -> None:
    recipe = short(teacher.run_dir, seed=1)
    known = len(held_out(recipe, strokes) - held_out(teacher.recipe, strokes))
    assert 0 < known <= 12
    notes: list[str] = []
    metrics = train(recipe, strokes, tmp_path / "taught", test=False, note=notes.append).metrics
    assert metrics["validation_leaks"] == [{"path": str(teacher.run_dir), "images": known}]
    (told,) = (note for note in notes if "validation" in note)
    assert f"{teacher.run_dir} has learned from {known} of the 12 validation images" in told
    assert "--set data.validation_seed=7 --set data.validation=0.2" in told

    # What it advises helps.
    notes.clear()
    mended = short(teacher.run_dir, seed=1, validation_seed=7)
    assert train(mended, strokes, tmp_path / "mended", test=False, note=notes.append).metrics["validation_leaks"] == []
    assert not any("validation" in note for note in notes)
    assert held_out(mended, strokes) == held_out(teacher.recipe, strokes)


def test_weights_to_start_from_are_looked_at_too_and_named_once(teacher: RunResult, strokes: Dataset) -> None:
    recipe = short(teacher.model_path, seed=1)
    recipe = dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, weights=str(teacher.model_path)))
    _, choose = learn_and_choose(recipe, strokes)
    (leak,) = find_leaks(recipe, strokes, choose)
    assert leak.path == str(teacher.model_path)
    alone = dataclasses.replace(recipe, distillation=DistillationPart())
    assert find_leaks(alone, strokes, choose) == (leak,)


def test_of_files_alone_and_of_runs_on_other_data_nothing_is_said(
    teacher: RunResult, strokes: Dataset, tmp_path: Path
) -> None:
    file = tmp_path / "model.keras"
    shutil.copy(teacher.model_path, file)
    for path, data in (
        (file, strokes),
        (teacher.run_dir, dataclasses.replace(strokes, content_hash="1" * 64)),
        ("edgenet-s", strokes),  # of the package, which has learned from Fashion-MNIST
    ):
        recipe = short(path, seed=1)
        _, choose = learn_and_choose(recipe, data)
        assert find_leaks(recipe, data, choose) == ()


def test_a_run_that_cannot_be_read_is_an_error(teacher: RunResult, strokes: Dataset, tmp_path: Path) -> None:
    recipe = short(tmp_path / "run", seed=1)
    _, choose = learn_and_choose(recipe, strokes)
    for name, text in (("metrics.json", "{"), ("metrics.json", json.dumps({"data": 3})), ("recipe.toml", "seed = ")):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        shutil.copytree(teacher.run_dir, tmp_path / "run")
        (tmp_path / "run" / name).write_text(text)
        with pytest.raises(ModelError, match="cannot be read"):
            find_leaks(recipe, strokes, choose)


def test_every_image_is_either_learned_from_or_held_out(strokes: Dataset) -> None:
    learn, choose = learn_and_choose(short(seed=1, validation_seed=2), strokes)
    assert len(np.unique(np.concatenate([learn.images, choose.images]), axis=0)) == len(strokes.train)
