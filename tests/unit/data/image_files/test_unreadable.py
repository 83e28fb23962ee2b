"""Images that cannot be read, and files that are none: counted, listed, and left out only where that is asked for."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from datafiles import write_images
from PIL import Image

from edge_fm.api.common.reading import Reading
from edge_fm.cli import cli
from edge_fm.data import load_dataset
from edge_fm.data.unlabelled import load_images
from edge_fm.training import load_recipe, with_overrides
from edge_fm.training.input_pipeline.recipe_data import load_recipe_data
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import DataError, RecipeError
from edge_fm_runtime.photos.suffixes import SUFFIXES, describe_counts, is_photo_name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of 20 images, two of which cannot be read, and what else lies in folders of photos."""
    source = tmp_path / "photos"
    write_images(source, {"a": 19, "b": 19})
    (source / "a" / "cut.png").write_bytes((source / "a" / "000.png").read_bytes()[:40])
    (source / "b" / "page.jpg").write_text("<html>")
    (source / "a" / "notes.txt").write_text("x")
    (source / "a" / "more.txt").write_text("x")
    (source / "b" / "clip.MOV").write_bytes(b"x")
    (source / "b" / ".DS_Store").write_bytes(b"x")
    shutil.copy(source / "a" / "001.png", source / "loose.png")
    return source


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments])


def test_the_error_names_the_share_that_would_do(folder: Path) -> None:
    with pytest.raises(DataError, match="2 of 40 images cannot be read") as caught:
        load_dataset(str(folder))
    assert caught.value.hint and "--skip-unreadable 0.05 (in a recipe: skip_unreadable = 0.05" in caught.value.hint
    with pytest.raises(DataError, match=r"more than the share of 0\.04 that may be left out"):
        load_dataset(str(folder), skip_unreadable=0.04)


def test_up_to_the_share_they_are_left_out_and_listed(folder: Path) -> None:
    notes: list[str] = []
    dataset = load_dataset(str(folder), skip_unreadable=0.05, note=notes.append)
    assert len(dataset.train) + len(dataset.test) == 38
    kept = {image.tobytes() for split in (dataset.train, dataset.test) for image in split.images}
    assert kept == {np.asarray(Image.open(p)).tobytes() for p in folder.glob("*/[0-9]*.png")}
    assert [len(dataset.notes["unreadable"]["left_out"]), dataset.notes["unreadable"]["pictures"]] == [2, 40]
    (line,) = [line for line in notes if "cannot be read are left out" in line]
    assert "2 of 40" in line and "cut.png is damaged" in line and "page.jpg is an HTML page" in line


def test_labels_stay_with_their_images(tmp_path: Path) -> None:
    for part, shade in (("train", 10), ("val", 20), ("test", 30)):
        for label, name in enumerate(("a", "b")):
            (tmp_path / part / name).mkdir(parents=True)
            (tmp_path / part / name / "0.png").write_bytes(b"no image")
            for i in range(1, 4):
                Image.new("L", (6, 6), shade + label).save(tmp_path / part / name / f"{i}.png")
    dataset = load_dataset(str(tmp_path), skip_unreadable=0.3)
    assert dataset.validation is not None
    for split, shade in ((dataset.train, 10), (dataset.validation, 20), (dataset.test, 30)):
        assert len(split) == 6
        assert split.images[:, 0, 0, 0].tolist() == [shade + int(label) for label in split.labels]


def test_a_class_of_which_nothing_is_left_is_named(tmp_path: Path) -> None:
    write_images(tmp_path, {"a": 20, "b": 2})
    for file in (tmp_path / "b").iterdir():
        file.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"b \(0\)"):
        load_dataset(str(tmp_path), skip_unreadable=0.5)


def test_what_is_no_image_is_counted_with_reasons(folder: Path) -> None:
    notes: list[str] = []
    dataset = load_dataset(str(folder), skip_unreadable=0.05, note=notes.append)
    expected = "4 files that are not photos by their names (.txt 2, .mov 1, hidden 1); 1 image in no class's folder"
    assert dataset.notes["passed_over"] == expected
    assert f"Passed over: {expected}." in notes


def test_images_in_hidden_folders_are_counted_with_the_folders(folder: Path) -> None:
    for name in (".c", "a/.old", "a/__MACOSX", "b/.git/objects"):
        (folder / name).mkdir(parents=True)
    for name in (".c/1.png", ".c/2.png", "a/.old/3.png", "a/__MACOSX/._4.png", "b/.git/objects/notes.txt"):
        shutil.copy(folder / "a" / "001.png", folder / name)
    dataset = load_dataset(str(folder), skip_unreadable=0.05)
    assert dataset.label_names == ("a", "b") and len(dataset.train) + len(dataset.test) == 38
    assert str(dataset.notes["passed_over"]).endswith(
        "3 images in folders that are hidden or left by tools (.c/, a/.old/)"
    )


def test_data_info_lists_both(folder: Path) -> None:
    refused = run("data", "info", folder)
    assert refused.exit_code == 1
    assert "--skip-unreadable 0.05" in refused.stderr
    result = run("data", "info", folder, "--skip-unreadable", "0.05", "--json")
    assert result.exit_code == 0
    notes = json.loads(result.stdout)["notes"]
    assert len(notes["unreadable"]["left_out"]) == 2
    assert notes["passed_over"].startswith("4 files")
    assert "Passed over: 4 files" in result.stderr
    again = run("data", "info", folder, "--skip-unreadable", "0.05")
    assert f"edgefm train --data {folder} --skip-unreadable 0.05" in again.stderr


@pytest.mark.parametrize("share", ["-0.1", "1", "2", "many"])
def test_a_share_that_is_none_is_a_mistake_of_usage(folder: Path, share: str) -> None:
    assert run("data", "info", folder, "--skip-unreadable", share).exit_code == 2


def test_images_without_labels(folder: Path) -> None:
    notes: list[str] = []
    with pytest.raises(DataError, match="1 of 20 images cannot be read"):
        load_images(folder / "a", (28, 28, 1), PhotoSpec())
    images = load_images(folder / "a", (28, 28, 1), PhotoSpec(), skip_unreadable=0.05, note=notes.append)
    assert images.shape == (19, 28, 28, 1)
    assert notes[0] == "Passed over: 2 files that are not photos by their names (.txt 2)."
    assert notes[1].startswith("Images that cannot be read are left out: 1 of 20: ")


def test_a_recipe_keeps_the_share(folder: Path) -> None:
    plain = with_overrides(load_recipe("edgenet-s"), data=str(folder))
    recipe = with_overrides(plain, skip_unreadable=0.05)
    assert recipe.data.skip_unreadable == 0.05
    assert len(load_recipe_data(recipe).train) > 20
    with pytest.raises(DataError):
        load_recipe_data(plain)
    with pytest.raises(RecipeError, match="skip_unreadable is 1"):
        with_overrides(plain, skip_unreadable=1.0)


def test_a_runs_own_source_is_read_as_its_training_read_it() -> None:
    training = {"data": {"source": "photos", "skip_unreadable": 0.05}}
    assert Reading(None).of("photos", training)["skip_unreadable"] == 0.05
    assert Reading(None).of("others", training)["skip_unreadable"] == 0.0
    assert Reading(0.1).of("photos", training)["skip_unreadable"] == 0.1
    for odd in (None, {}, {"data": {"source": "photos", "skip_unreadable": "many"}}):
        assert Reading(None).of("photos", odd)["skip_unreadable"] == 0.0


def test_infer_counts_what_it_passes_over(folder: Path) -> None:
    result = run("infer", folder / "a", "--model", "edgenet-s-onnx-int8")
    assert result.exit_code == 4
    assert len(result.stdout.splitlines()) == 20
    assert "Passed over: 2 files that are not photos by their names (.txt 2)." in result.stderr
    result = run("infer", folder, "--model", "edgenet-s-onnx-int8")
    assert result.exit_code == 0
    assert "Passed over: 2 subfolders (look into them: --recursive)." in result.stderr
    result = run("infer", folder, "-r", "--model", "edgenet-s-onnx-int8")
    assert "Passed over: 4 files that are not photos by their names (.txt 2, .mov 1, hidden 1)." in result.stderr


def test_a_list_on_stdin_is_read_line_by_line_and_never_held_whole(folder: Path) -> None:
    photo = os.fsencode(folder / "a" / "000.png")
    lines = photo + b"\r\n" + b"n" * 3_000_000 + b"\n\n" + photo
    result = CliRunner().invoke(cli, ["infer", "-", "--model", "edgenet-s-onnx-int8", "--json"], input=lines)
    assert result.exit_code == 4
    first, middle, last = map(json.loads, result.stdout.splitlines())
    assert first["label"] == last["label"] and first["error"] is None
    assert "cannot be opened" in middle["error"]
    assert len(middle["input"]) < 100_000


def test_one_list_of_suffixes() -> None:
    assert {".jpg", ".jfif", ".mpo", ".png", ".webp", ".tiff", ".avif", ".heic", ".heif", ".pnm"} <= SUFFIXES
    assert is_photo_name("A.JPEG") and not is_photo_name(".jpg") and not is_photo_name("jpg")
    many = {f".s{i:02}": 20 - i for i in range(12)}
    assert describe_counts(many).endswith(
        "(.s00 20, .s01 19, .s02 18, .s03 17, .s04 16, .s05 15, .s06 14, .s07 13, others 42)"
    )
