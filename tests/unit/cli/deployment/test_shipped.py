"""The model in the package: what classifies right after an installation."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import edge_fm
import edge_fm_runtime
from edge_fm.api.common.places import shipped_model
from edge_fm.cli import cli
from edge_fm.data import load_dataset, sample_photo
from edge_fm.models.records import STORED_RESULTS, trained_model
from edge_fm.training import load_recipe, recipe_hash
from edge_fm_runtime import Classifier, load_artifact
from edge_fm_runtime.artifacts.packaged import DEFAULT_MODEL, packaged_artifact

EDGENET = "edgenet-s-onnx-int8"
"""The packaged artifact for 28x28 grey images."""


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without runs, and no $EDGEFM_MODEL."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGEFM_MODEL", raising=False)


def test_a_photo_is_classified_by_it_with_a_note(tmp_path: Path) -> None:
    dataset = load_dataset("fashion-mnist-mini")
    wanted = dataset.label_names.index("Trouser")
    index = int((dataset.test.labels == wanted).argmax())
    sample_photo(dataset.test.images[index], tmp_path / "photo.jpg")
    done = CliRunner().invoke(cli, ["infer", "photo.jpg", "--json"])
    assert done.exit_code == 0, done.output
    assert "shipped with edge-fm" in done.stderr
    assert json.loads(done.stdout)["label"] == "Trouser"


@pytest.mark.parametrize(("name", "most"), [(EDGENET, 300 * 1024), (DEFAULT_MODEL, 5_000_000)])
def test_it_verifies_and_is_small(name: str, most: int) -> None:
    folder = packaged_artifact(name)
    assert folder is not None
    assert CliRunner().invoke(cli, ["verify", name, "--quiet"]).exit_code == 0
    assert sum(file.stat().st_size for file in folder.iterdir()) <= most


def test_the_one_without_a_name_sees_colour_and_knows_what_fashion_mnist_knows() -> None:
    default, grey = load_artifact(DEFAULT_MODEL).metadata, load_artifact(EDGENET).metadata
    assert shipped_model() == packaged_artifact(DEFAULT_MODEL)
    assert default.labels == grey.labels
    assert (default.input.colour, grey.input.colour) == ("rgb", "grey")


def test_fashion_mnists_own_images_are_still_classified_sensibly() -> None:
    test = load_dataset("fashion-mnist-mini").test
    images = [np.asarray(image[..., 0]) for image in test.images[:60]]
    with Classifier.load() as classifier:
        right = [classifier.classify(image).index == label for image, label in zip(images, test.labels, strict=False)]
    assert np.mean(right) > 0.6  # a guess is right on a tenth


@pytest.mark.parametrize(
    "arguments",
    [
        ["infer", "photo.png", "--model"],
        ["verify"],
        ["evaluate", "--data", "fashion-mnist-mini"],
        [
            "benchmark",
            "--duration",
            "0.05",
            "--min-samples",
            "2",
            "--skip",
            "bare",
            "--skip",
            "starts",
            "--skip",
            "streams",
        ],
        ["autotune", "--duration", "0.02", "--allow-load"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_it_has_a_name_that_every_command_knows(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEFM_PROFILE", str(tmp_path / "profile.json"))
    Image.fromarray(np.zeros((28, 28), np.uint8)).save("photo.png")
    done = CliRunner().invoke(cli, [*arguments, "edgenet-s-onnx-int8"])
    assert done.exit_code == 0, done.output
    for line in done.stderr.splitlines():
        if line.startswith("Next: "):
            assert line.endswith(" edgenet-s-onnx-int8")


def test_benchmark_takes_it_where_nothing_is_exported(artifact_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["benchmark", "--duration", "0.05", "--against", "none"]
    for part in ("bare", "streams", "photos", "starts", "null"):
        command += ["--skip", part]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 0, done.output
    assert f"Model: {DEFAULT_MODEL}, shipped with edge-fm" in done.stderr
    assert f"Next: edgefm infer photo.jpg --model {DEFAULT_MODEL}" in done.stderr
    monkeypatch.setenv("EDGEFM_MODEL", str(artifact_folder))
    done = CliRunner().invoke(cli, [*command, "--json"])
    assert done.exit_code == 0, done.output
    assert f"Model: {artifact_folder} ($EDGEFM_MODEL)" in done.stderr
    assert {row["model"] for row in json.loads(done.stdout)["rows"]} == {"tiny"}


def test_its_name_loads_it_in_python_and_so_does_none() -> None:
    with Classifier.load() as unnamed, Classifier.load(DEFAULT_MODEL) as named:
        assert unnamed.artifact.path == named.artifact.path == shipped_model()


def test_a_folder_of_that_name_comes_first(artifact_folder: Path, tmp_path: Path) -> None:
    artifact_folder.rename(tmp_path / DEFAULT_MODEL)
    assert load_artifact(DEFAULT_MODEL).metadata.name == "tiny"
    with Classifier.load() as unnamed:
        assert unnamed.artifact.path == shipped_model()


def test_an_unknown_name_says_which_there_is() -> None:
    done = CliRunner().invoke(cli, ["verify", "edgenet-s-onnx-fp32"])
    assert done.exit_code == 1
    assert f"the name of one in the package: {EDGENET}, {DEFAULT_MODEL}" in done.stderr


def test_the_packages_have_one_version_and_export_their_errors() -> None:
    project = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())["project"]
    assert edge_fm.__version__ == edge_fm_runtime.__version__ == project["version"]
    with Classifier.load() as classifier, pytest.raises(edge_fm_runtime.PhotoError):
        classifier.classify(b"no image")
    assert {"ClosedError", "EngineError", "PhotoError", "__version__"} <= set(edge_fm_runtime.__all__)
    assert all(hasattr(edge_fm_runtime, name) for name in edge_fm_runtime.__all__)


def test_it_is_as_accurate_as_its_card_says_within_the_mini_set() -> None:
    folder = packaged_artifact(EDGENET)
    assert folder is not None
    done = CliRunner().invoke(cli, ["evaluate", EDGENET, "--data", "fashion-mnist-mini", "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads((folder / "edgefm.json").read_text())["accuracy"]["value"]
    # 1,000 of the 10,000 images: three standard errors.
    assert json.loads(done.stdout)["accuracy"] == pytest.approx(said, abs=0.025)


def test_it_was_made_from_the_packages_own_keras_model_for_any_cpu() -> None:
    folder = packaged_artifact(EDGENET)
    assert folder is not None
    said = json.loads((folder / "edgefm.json").read_text())
    assert said["quantization"]["safe_for"] == "any CPU"
    made_from = trained_model(said["training"]["run"]) / "model.keras"
    assert hashlib.sha256(made_from.read_bytes()).hexdigest() == said["source"]["sha256"]
    kept = load_recipe(made_from.with_name("recipe.toml"))
    assert recipe_hash(kept) == said["training"]["recipe_hash"]
    as_listed = replace(kept, distillation=replace(kept.distillation, sha256=()))
    assert recipe_hash(as_listed) == recipe_hash(load_recipe(said["training"]["run"]))


def test_the_run_that_the_classifier_for_photos_came_from_is_recorded() -> None:
    folder = packaged_artifact(DEFAULT_MODEL)
    assert folder is not None
    said = json.loads((folder / "edgefm.json").read_text())
    assert said["quantization"]["safe_for"] == "any CPU"
    run = STORED_RESULTS / said["training"]["run"]
    assert recipe_hash(load_recipe(run / "recipe.toml")) == said["training"]["recipe_hash"]
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["recipe_hash"] == said["training"]["recipe_hash"]
    assert said["source"]["sha256"] in (folder / "MODEL_CARD.md").read_text()
    assert said["parity"]["drop_points"] < 0.6  # two of 383 photos, as its card says
    recorded, listed = load_recipe(run / "recipe.toml"), load_recipe("clothing-photos")
    assert recorded.model == listed.model and recorded.augmentation == listed.augmentation
    assert recorded.training == listed.training and recorded.optimizer == listed.optimizer
