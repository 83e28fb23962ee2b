"""A run is evaluated and resumed from any folder: its recipe names absolute paths, its artifacts none."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_fm.api.common.original import evaluation_data, own_data
from edge_fm.data import Preparation, load_dataset, prepare, prepare_as_trained
from edge_fm.data.sources import absolute_source
from edge_fm.training import DataPart, DistillationPart, ModelPart, Recipe, TrainingPart, load_recipe, train
from edge_fm.training.input_pipeline.recipe_data import load_recipe_data
from edge_fm.training.recipe.paths import with_absolute_paths
from edge_fm.training.run.train_once import train_once
from edge_fm_export.description import without_places
from edge_fm_export.sources import load_source
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


def _photos(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("bag", "coat"):
        (folder / name).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(0, 256, (12, 12), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


def test_what_exists_is_found_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _photos(tmp_path / "photos")
    (tmp_path / "teacher.keras").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    recipe = Recipe(
        model=ModelPart("cnn2-dense", weights="teacher.keras"),
        data=DataPart(source="photos"),
        distillation=DistillationPart(teacher=("./teacher.keras", "edgenet-s")),
    )
    absolute = with_absolute_paths(recipe)
    assert absolute.data.source == str(tmp_path / "photos") == load_dataset("photos").source
    assert absolute.model.weights == str(tmp_path / "teacher.keras")
    assert absolute.distillation.teacher == (str(tmp_path / "teacher.keras"), "edgenet-s")
    assert with_absolute_paths(Recipe()) == Recipe()
    assert absolute_source("absent") == "absent" and absolute_source("fashion-mnist-mini") == "fashion-mnist-mini"


def test_a_run_is_evaluated_resumed_and_found_again_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _photos(tmp_path / "work" / "photos")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    recipe = Recipe(
        name="tiny",
        model=ModelPart("cnn2-dense"),
        data=DataPart(source="photos", split=(0.6, 0.2, 0.2), pool=True),
        training=TrainingPart(epochs=2, batch_size=8),
        photo=PhotoSpec(mode="fit", background="any", fill=0),
    )
    run = tmp_path / "work" / "run"

    def stop(epoch: int, epochs: int, row: dict[str, float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, load_recipe_data(recipe), run, on_epoch=stop)
    monkeypatch.chdir(tmp_path / "elsewhere")
    kept = load_recipe(run / "recipe.toml")
    assert kept.data.source == str(tmp_path / "work" / "photos")
    result = train(kept, load_recipe_data(kept), run, resume=True)
    original = load_source(run)
    sets = evaluation_data(None, original)
    predictions = original.model.predict(sets.test.images, verbose=0)
    assert sets.test.labels is not None
    assert float((predictions.argmax(axis=1) == sets.test.labels).mean()) == pytest.approx(
        result.metrics["test_accuracy"]
    )
    monkeypatch.chdir(tmp_path / "work")
    assert train_once(recipe, load_recipe_data(recipe), run, test=True) == result.metrics
    artifact = without_places(original.training or {})
    assert artifact["data"]["source"] == "photos"
    assert own_data(run / "export" / "tiny-onnx-fp32", artifact) == str(tmp_path / "work" / "photos")


def test_the_same_data_in_another_place_get_the_splits_of_the_training(tmp_path: Path) -> None:
    for name in ("here", "there"):
        _photos(tmp_path / name)
    preparation = Preparation(pool=True, split=(0.5, 0.25, 0.25))
    here, there = (load_dataset(str(tmp_path / name)) for name in ("here", "there"))
    trained = prepare(here, preparation)
    same = prepare_as_trained(there, preparation, trained_on=here.source, trained_hash=trained.content_hash)
    np.testing.assert_array_equal(same.test.images, trained.test.images)
    other = dataclasses.replace(there, train=there.test)
    kept = prepare_as_trained(other, preparation, trained_on=here.source, trained_hash=trained.content_hash)
    assert len(kept.test) == len(other.test)


@pytest.mark.parametrize(
    ("name", "advice"), [("photos", "--data photos"), ("absent", "--data FOLDER"), ("x" * 5_000, "--data FOLDER")]
)
def test_data_that_an_artifact_names_are_proposed_only_where_they_are(
    name: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="opened only if you name it") as raised:
        own_data(tmp_path / "artifact", {"data": {"source": name}})
    assert str(raised.value.hint).endswith(advice)
