"""The evaluation set of a model has the classes and the test split of its training."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from edge_fm.api.common.original import evaluation_data
from edge_fm.api.evaluate import evaluate
from edge_fm.api.train import TrainOptions, train
from edge_fm.cli import cli
from edge_fm.data import Preparation, load_dataset, prepare
from edge_fm_export.context import SourceModel
from edge_fm_runtime.artifacts.metadata import InputSpec, PhotoSpec
from edge_fm_runtime.errors import DataError

MERGED = Preparation(
    relabel={"Sandal": "shoe", "Sneaker": "shoe"}, classes=("Bag", "shoe"), pool=True, split=(600, 100, 200)
)
DATASET = prepare(load_dataset("fashion-mnist-mini"), MERGED)


def original(content_hash: str = DATASET.content_hash) -> SourceModel:
    """All that is known of a run but for its weights, which nothing here asks for."""
    data = {"source": "fashion-mnist-mini", "hash": content_hash, "preparation": MERGED.to_json()}
    return SourceModel(
        name="merged",
        model=None,
        input=InputSpec(28, 28, 1),
        labels=("Bag", "shoe"),
        photo=PhotoSpec(),
        sha256="0" * 64,
        training={"data": data},
    )


@pytest.mark.parametrize("source", [None, "fashion-mnist-mini"])
def test_the_runs_own_data_are_prepared_as_they_were(source: str | None) -> None:
    sets = evaluation_data(source, original())
    np.testing.assert_array_equal(sets.test.images, DATASET.test.images)
    assert sets.test.labels is not None
    np.testing.assert_array_equal(sets.test.labels, DATASET.test.labels)
    assert sets.train is not None
    assert len(sets.train.images) == 700


def test_other_data_are_noticed() -> None:
    with pytest.raises(DataError, match="is not what this run was trained on"):
        evaluation_data(None, original("f" * 64))


@pytest.mark.needs("tensorflow")
@pytest.mark.slow
def test_a_run_whose_photos_changed_is_evaluated_on_them_only_if_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for number in range(60):
        file = tmp_path / "my photos" / f"class {number % 3}" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16, 1), dtype=np.uint8)[..., 0]).save(file)
    options = TrainOptions(epochs=1, batch_size=8)
    train("edgenet-s", "my photos", "run", options=options)
    assert not [warning for warning in evaluate("run").warnings if "content hash" in warning]
    file.unlink()
    for command in (["evaluate", "run"], ["export", "run", "--format", "onnx"]):
        refused = CliRunner().invoke(cli, command)
        assert refused.exit_code == 1
        assert "my photos is not what this run was trained on: its content hash is" in refused.stderr
        hint = refused.stderr.strip().splitlines()[-1]
        assert hint.endswith(f"--data {shlex.quote(str(tmp_path / 'my photos'))}")
    warning = evaluate("run", data=shlex.split(hint)[-1]).warnings[-1]
    assert "another content hash than when the model was trained on it" in warning


def test_other_data_get_the_models_classes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("Sandal", "Sneaker", "Bag", "Coat"):
        (tmp_path / name).mkdir()
        for number in range(5):
            Image.fromarray(rng.integers(0, 256, (28, 28), dtype=np.uint8)).save(tmp_path / name / f"{number}.png")
    sets = evaluation_data(str(tmp_path), original())
    assert sets.test.labels is not None
    assert np.bincount(sets.test.labels).tolist() == [1, 2]


def test_a_model_without_a_preparation_is_evaluated_as_ever() -> None:
    plain = dataclasses.replace(
        original(),
        labels=load_dataset("fashion-mnist-mini").label_names,
        training={"data": {"source": "x", "hash": "y"}},
    )
    assert len(evaluation_data("fashion-mnist-mini", plain).test.images) == 1000
