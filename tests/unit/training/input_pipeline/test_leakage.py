"""Which images are held out, and that a run says so where what it starts from has learned from them."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from strokes_data import make_recipe, make_split

from edge_fm.data import Dataset, Split
from edge_fm.training import DistillationPart, Recipe, RunResult, parse_recipe, recipe_hash, train, with_overrides
from edge_fm.training.input_pipeline.leakage import find_leaks, leak_rows, notes_of_copies, notes_of_leaks
from edge_fm.training.input_pipeline.recipe_data import load_recipe_data, training_and_validation
from edge_fm.training.recipe.file import recipe_toml
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
    _, validation = training_and_validation(recipe, dataset)
    return {image.tobytes() for image in validation.images}


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


@pytest.mark.slow
def test_a_teacher_that_knows_the_validation_images_is_reported(
    teacher: RunResult, strokes: Dataset, tmp_path: Path
) -> None:
    recipe = short(teacher.run_dir, seed=1)
    known = len(held_out(recipe, strokes) - held_out(teacher.recipe, strokes))
    assert 0 < known <= 12
    notes: list[str] = []
    metrics = train(recipe, strokes, tmp_path / "taught", test=False, note=notes.append).metrics
    assert metrics["validation_leaks"] == [{"path": str(teacher.run_dir), "images": known}]
    (line,) = (note for note in notes if "validation images" in note and "has learned" in note)
    assert f"{teacher.run_dir} has learned from {known} of the 12 validation images" in line
    assert "--set data.validation_seed=7 --set data.validation=0.2" in line

    # What it advises helps.
    notes.clear()
    mended = short(teacher.run_dir, seed=1, validation_seed=7)
    assert train(mended, strokes, tmp_path / "mended", test=False, note=notes.append).metrics["validation_leaks"] == []
    assert not any("has learned" in note for note in notes)
    assert held_out(mended, strokes) == held_out(teacher.recipe, strokes)


def test_weights_to_start_from_are_looked_at_too_and_named_once(teacher: RunResult, strokes: Dataset) -> None:
    recipe = short(teacher.model_path, seed=1)
    recipe = dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, weights=str(teacher.model_path)))
    _, validation = training_and_validation(recipe, strokes)
    (leak,) = find_leaks(recipe, strokes, validation)
    assert leak.path == str(teacher.model_path)
    alone = dataclasses.replace(recipe, distillation=DistillationPart())
    assert find_leaks(alone, strokes, validation) == (leak,)


def test_of_files_alone_nothing_is_said_and_of_data_that_are_not_here_that(
    teacher: RunResult, strokes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGEFM_DATA", raising=False)
    file = tmp_path / "model.keras"
    shutil.copy(teacher.model_path, file)
    recipe = short(file, seed=1)
    _, validation = training_and_validation(recipe, strokes)
    assert find_leaks(recipe, strokes, validation) == ()
    for path, data, source in (
        (str(teacher.run_dir), dataclasses.replace(strokes, content_hash="1" * 64), "strokes"),
        ("edgenet-s", strokes, "fashion-mnist"),  # of the package; nothing is downloaded to look
    ):
        leaks = find_leaks(short(path, seed=1), data, validation)
        assert (leaks[0].path, leaks[0].unknown, leaks[0].images) == (path, source, 0)
        assert f"its data, {source}, are not here" in notes_of_leaks(leaks, validation)[0]


@pytest.fixture
def drawings(tmp_path: Path) -> Path:
    """A folder of images with a training and a test part."""
    for part, seed, each in (("train", 1, 12), ("test", 2, 4)):
        split = make_split(each, seed)
        for number, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
            place = tmp_path / "drawings" / part / "abc"[label]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[..., 0]).save(place / f"{number}.png")
    return tmp_path / "drawings"


@pytest.mark.slow
def test_a_teacher_of_other_data_that_hold_the_same_images_is_reported(drawings: Path, tmp_path: Path) -> None:
    # The teacher learned from all of the images, the student's test part too: other data, another hash.
    everything = tmp_path / "everything"
    for part in ("train", "test"):
        for file in sorted((drawings / part).rglob("*.png")):
            place = everything / "train" / file.parent.name
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place / f"{part}-{file.name}")
    for number, label in enumerate("abc"):
        (everything / "test" / label).mkdir(parents=True)
        Image.new("L", (14, 12), 50 * number).save(everything / "test" / label / "plain.png")
    recipe = short(source=str(everything))
    taught = train(recipe, load_recipe_data(recipe), tmp_path / "teacher", test=False)

    student = short(taught.run_dir, source=str(drawings))
    data = load_recipe_data(student)
    _, validation = training_and_validation(student, data)
    assert data.content_hash != taught.metrics["data"]["hash"]
    (leak,) = find_leaks(student, data, validation)
    assert 0 < leak.images <= len(validation) and 0 < leak.test_images <= 12 and not leak.advice
    notes = "\n".join(notes_of_leaks((leak,), validation))
    assert "validation figures will be too good" in notes and "of the test images: test figures" in notes
    assert find_leaks(student, data, validation, test=False)[0].test_images == 0

    # And so is what the teacher itself learned from.
    between = short(taught.run_dir, source="nowhere")
    folder = tmp_path / "between"
    shutil.copytree(taught.run_dir, folder)
    (folder / "recipe.toml").write_text(recipe_toml(between))
    chain = find_leaks(short(folder, source=str(drawings)), data, validation)
    assert [(found.path, found.through, bool(found.unknown)) for found in chain] == [
        (str(folder), "", True),
        (str(taught.run_dir), str(folder), False),
    ]


def _by_people(place: Path, name: str, seed: int, people: range) -> Path:
    """A manifest of images that each person drew four of."""
    split = make_split(4 * len(people), seed)
    rows = ["file,label,sender"]
    for number, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
        file = place / name / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(file)
        rows.append(f"{name}/{number}.png,{'abc'[label]},person {people[number % len(people)]}")
    table = place / f"{name}.csv"
    table.write_text("\n".join(rows) + "\n")
    return table


@pytest.mark.parametrize("column", ["sender", "none"])
def test_a_teacher_that_knows_other_images_of_the_same_people_is_reported(tmp_path: Path, column: str) -> None:
    ours = _by_people(tmp_path, "ours", 1, range(10))
    theirs = _by_people(tmp_path, "theirs", 2, range(5, 15))
    teacher = short(source=str(theirs), group=column)
    taught = train(teacher, load_recipe_data(teacher), tmp_path / "teacher", test=False)
    student = short(taught.run_dir, source=str(ours), group="sender", seed=2)
    data = load_recipe_data(student)
    _, choose = training_and_validation(student, data)
    leaks = find_leaks(student, data, choose)
    if column == "none":
        assert leaks == (), "without groups nothing says who drew what the teacher learned from"
        return
    known = set(training_and_validation(teacher, load_recipe_data(teacher))[0].groups)
    (leak,) = leaks
    assert (leak.images, leak.test_images) == (0, 0), "no image is the same"
    assert leak.group_images == sum(group in known for group in choose.groups)
    assert leak.group_test_images == sum(group in known for group in data.test.groups)
    assert leak.group_images + leak.group_test_images > 0
    assert any("images of the same groups as" in note for note in notes_of_leaks(leaks, choose))
    assert (
        find_leaks(student, data, choose, test=False) == ()
        or not find_leaks(student, data, choose, test=False)[0].group_test_images
    )


def test_a_teacher_of_the_same_data_read_without_groups_knows_the_people(tmp_path: Path) -> None:
    table = _by_people(tmp_path, "ours", 1, range(10))
    teacher = short(source=str(table), group="none")
    taught = train(teacher, load_recipe_data(teacher), tmp_path / "teacher", test=False)
    student = short(taught.run_dir, source=str(table), group="sender", seed=2)
    data = load_recipe_data(student)
    _, choose = training_and_validation(student, data)
    (leak,) = find_leaks(student, data, choose)
    assert leak.group_images == len(choose) > leak.images, "it has seen some of everybody's images"
    rows = leak_rows([(leak.path, leak.images, leak.group_images), ("other", 0, 0), ("third", 2, 0)])
    assert rows[0]["images_of_known_groups"] == len(choose)
    assert rows[1:] == [{"path": "third", "images": 2}]


def test_images_in_two_splits_are_counted(strokes: Dataset) -> None:
    learn, validation = training_and_validation(short(), strokes)
    assert notes_of_copies(learn, validation, strokes.test, drawn=True) == []
    some = np.arange(3)
    both = Split(
        np.concatenate([learn.images, validation.images[some]]), np.concatenate([learn.labels, validation.labels[some]])
    )
    test = Split(
        np.concatenate([both.images[:5], validation.images]), np.concatenate([both.labels[:5], validation.labels])
    )
    notes = notes_of_copies(both, validation, test, drawn=True)
    assert [line.split(":")[0] for line in notes] == [
        f"3 of the {len(validation)} validation images are among the training images",
        f"8 of the {len(test)} test images are among the training images",
        f"{len(validation)} of the {len(test)} test images are among the validation images",
    ]
    assert all("deduplicate=true" in line for line in notes)
    assert len(notes_of_copies(both, validation, None, drawn=True)) == 1


def test_a_training_says_that_its_test_images_are_known(strokes: Dataset, tmp_path: Path) -> None:
    copied = dataclasses.replace(strokes, test=strokes.train)
    notes: list[str] = []
    train(short(), copied, tmp_path / "run", note=notes.append)
    assert any("test images are among the training images" in note for note in notes)


def test_a_run_that_cannot_be_read_is_an_error(teacher: RunResult, strokes: Dataset, tmp_path: Path) -> None:
    recipe = short(tmp_path / "run", seed=1)
    _, validation = training_and_validation(recipe, strokes)
    for name, text in (("metrics.json", "{"), ("metrics.json", json.dumps({"data": 3})), ("recipe.toml", "seed = ")):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        shutil.copytree(teacher.run_dir, tmp_path / "run")
        (tmp_path / "run" / name).write_text(text)
        with pytest.raises(ModelError, match="cannot be read"):
            find_leaks(recipe, strokes, validation)


def test_every_image_is_either_learned_from_or_held_out(strokes: Dataset) -> None:
    learn, validation = training_and_validation(short(seed=1, validation_seed=2), strokes)
    assert len(np.unique(np.concatenate([learn.images, validation.images]), axis=0)) == len(strokes.train)
