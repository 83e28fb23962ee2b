"""Runs and `.keras` files of ours are opened; everything else is refused with what to do."""

from __future__ import annotations

import json
import shutil
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from tiny_models import TinyRun

from edge_fm_export.class_labels import check_labels
from edge_fm_export.sources import load_source
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import ModelError


def test_a_run_brings_its_labels_photo_and_hashes(tiny_runs: dict[str, Any]) -> None:
    run = tiny_runs["grey"]
    source = load_source(run.folder)
    assert (source.name, source.labels, source.input.shape) == ("tiny-grey", run.labels, (28, 28, 1))
    assert source.photo == PhotoSpec("fit", "any", 7)
    assert source.sha256 == sha256(run.file.read_bytes()).hexdigest()
    assert source.training is not None
    assert source.training["recipe_hash"] == "ab" * 32
    assert source.training["data"]["hash"] == "cd" * 32
    assert load_source(run.file).labels == run.labels  # its model.keras stands beside the metrics


def test_a_keras_file_of_ours_is_named_by_its_labels(tiny_runs: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "mine.keras"
    shutil.copy(tiny_runs["colour"].file, file)
    unnamed = load_source(file)
    assert "--photo stretch" in " ".join(unnamed.notes)
    assert (unnamed.labels, unnamed.named) == (("class_0", "class_1", "class_2", "class_3"), False)
    source = load_source(file, labels=["a b", "b", "c", "d"])
    assert (source.name, source.labels, source.input.shape) == ("mine", ("a b", "b", "c", "d"), (12, 10, 3))
    image = np.zeros((1, 12, 10, 3), np.uint8)
    assert np.asarray(source.model(image, training=False)).sum() == pytest.approx(1.0)


@pytest.mark.parametrize("labels", [["a"], ["a"] * 4, ["a", "b", "c", " "], []])
def test_labels_must_fit(labels: list[str]) -> None:
    with pytest.raises(ModelError, match="--labels FILE") as error:
        check_labels(labels, 4, Path("m.keras"))
    # Labels of an artifact that do not fit are a sign of another model.
    assert str(error.value.hint).startswith("Name the model") == (labels in (["a"], []))


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        load_source(tmp_path / "nothing")
    (tmp_path / "latest").symlink_to("gone")
    with pytest.raises(ModelError, match="is a broken link"):
        load_source(tmp_path / "latest")
    with pytest.raises(ModelError, match="neither a run nor a SavedModel"):
        load_source(tmp_path)


def test_a_file_that_only_looks_like_a_model_is_refused(tmp_path: Path) -> None:
    fake = tmp_path / "fake.keras"
    fake.write_bytes(b"no zip")
    with pytest.raises(ModelError, match=r"not a readable \.keras file"):
        load_source(fake)
    with zipfile.ZipFile(fake, "w") as archive:
        archive.writestr("config.json", "[]")
    with pytest.raises(ModelError, match=r"not a readable \.keras file"):
        load_source(fake)
    with zipfile.ZipFile(fake, "w") as archive:
        archive.writestr("config.json", '{"class_name": "Functional", "config": {}}')
    with pytest.raises(ModelError, match="cannot load"):
        load_source(fake, labels=["a"])


def test_a_photo_mode_alone_leaves_the_rest_as_a_run_was_trained(tiny_runs: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(tiny_runs["grey"].folder, folder)
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["photo"] = {"mode": "garment", "background": "dark", "fill": 3}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    assert load_source(folder, photo="fit").photo == PhotoSpec("fit", "dark", 3)
    assert load_source(folder, photo=PhotoSpec("crop")).photo == PhotoSpec("crop")
    assert load_source(folder).photo == PhotoSpec("garment", "dark", 3)


@pytest.mark.parametrize("metrics", ["{", "[]", "{}", '{"model": "m"}', '{"model": "m", "labels": [1]}'])
def test_a_run_with_broken_metrics_is_refused(tiny_runs: dict[str, Any], tmp_path: Path, metrics: str) -> None:
    shutil.copy(tiny_runs["grey"].file, tmp_path)
    (tmp_path / "metrics.json").write_text(metrics)
    with pytest.raises(ModelError, match=r"metrics\.json"):
        load_source(tmp_path)


def test_a_run_with_a_photo_that_cannot_be_is_refused(tiny_runs: dict[str, Any], tmp_path: Path) -> None:
    run = tiny_runs["grey"]
    shutil.copy(run.file, tmp_path)
    metrics = json.loads((run.folder / "metrics.json").read_text()) | {"photo": {"mode": "wild"}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(ModelError, match="garment, fit, crop, stretch"):
        load_source(tmp_path)


def test_code_in_a_file_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    import keras

    image = keras.Input((4, 4, 1), dtype="uint8", name="image")
    x = keras.layers.Lambda(lambda t: keras.ops.cast(t, "float32") / 255, name="sneaky", output_shape=(4, 4, 1))(image)
    x = keras.layers.Dense(2, activation="softmax", name="probabilities")(keras.layers.Flatten()(x))
    file = tmp_path / "lambda.keras"
    keras.Model(image, x).save(file)
    with pytest.raises(ModelError, match=r"(?s)Lambda layer.*sneaky.*--trust"):
        load_source(file, labels=["a", "b"])
    assert load_source(file, labels=["a", "b"], trust=True).labels == ("a", "b")


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside", "..", ".hidden", "a\\b", "a\nb", "", "x" * 300])
def test_a_run_whose_metrics_name_a_path_is_refused(tiny_runs: dict[str, Any], tmp_path: Path, name: str) -> None:
    run = tiny_runs["grey"]
    (tmp_path / "model.keras").write_bytes(run.file.read_bytes())
    metrics = json.loads((run.folder / "metrics.json").read_text()) | {"model": name}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(ModelError, match="folders are named after it"):
        load_source(tmp_path)


def test_a_plan_names_the_artifacts_as_the_export_does(
    tiny_runs: dict[str, TinyRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_fm.cli import cli

    def planned(*model: str) -> str:
        done = CliRunner().invoke(cli, ["export", *model, "--dry-run", "--json"])
        assert done.exit_code == 0, done.output
        return str(json.loads(done.stdout)[0]["folder"])

    monkeypatch.chdir(tmp_path)
    assert planned() == "model-onnx-fp32"
    assert planned("garments.keras") == "garments-onnx-fp32"
    assert planned("edgenet-s-photo") == "edgenet-s-onnx-fp32"
    run = tiny_runs["grey"].folder
    assert planned(str(run)) == planned(str(run / "model.keras")) == f"{load_source(run).name}-onnx-fp32"
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/latest").symlink_to(run)
    assert planned() == "tiny-grey-onnx-fp32"
