"""Records of the family: kept as JSON, listed by `edgefm models`, drawn by its --plot."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_fm.cli import cli
from edge_fm.evaluation.pareto import family_points, plot_pareto
from edge_fm.models import MODELS, describe_models, records
from edge_fm.models.records import (
    Exported,
    Record,
    Seed,
    other_records,
    published_points,
    read_record,
    shipped_records,
    trained_model,
)
from edge_fm.training import load_recipe, recipe_hash
from edge_fm_runtime.errors import DataError


def make_record(model: str, accuracy: float) -> Record:
    exports = [
        Exported(format_, precision, size, accuracy - drop / 100, drop, 0.1)
        for format_ in ("onnx", "openvino")
        for precision, size, drop in (("fp32", 400_000, 0.0), ("int8", 110_000, 0.05))
    ]
    return Record(
        model=model,
        recipe=f"{model}-some",
        recipe_hash="0" * 64,
        data={"name": "fashion-mnist", "hash": "1" * 64},
        seeds=(
            Seed(0, accuracy - 0.001, 0.95, 10.0),
            Seed(1, accuracy, 0.95, 10.0),
            Seed(2, accuracy + 0.002, 0.9, 9.0),
        ),
        exports=tuple(exports),
        machine={"training": "A GPU", "latency": "A CPU"},
        date="2026-01-01T00:00:00+00:00",
        versions={"keras": "3"},
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "stored"
    made.mkdir()
    for model, accuracy in (("edgenet-n", 0.93), ("edgenet-s", 0.945)):
        (made / model).mkdir()
        (made / model / "record.json").write_text(json.dumps(make_record(model, accuracy).to_json()))
        (made / model / "model.keras").touch()
    (made / "edgenet-s-photo").mkdir()  # no record: one run
    (made / "edgenet-s-photo" / "model.keras").touch()
    shutil.copy(records.STORED_RESULTS / "published.toml", made)
    monkeypatch.setattr(records, "STORED_RESULTS", made)
    return made


def test_a_record_comes_back_as_it_was_written(folder: Path) -> None:
    found = shipped_records()
    assert found["edgenet-n"] == make_record("edgenet-n", 0.93)
    assert found["edgenet-n"].accuracy == 0.93
    int8 = found["edgenet-s"].exported("openvino", "int8")
    assert int8 is not None and int8.bytes == 110_000
    assert found["edgenet-s"].exported("litert", "int8") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"seeds": [], "exports": []}', '{"seeds": [{"seed": 1}]}'])
def test_a_file_that_is_no_record_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.json").write_text(text)
    with pytest.raises(DataError, match="not a record"):
        read_record(tmp_path / "odd.json")


def test_a_name_means_the_trained_model_of_the_package(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("edgenet-n", "edgenet-s-photo"):
        assert trained_model(name) == folder / name
    for other in ("edgenet-l", "runs/edgenet-n", "..", "", "a.keras"):
        assert trained_model(other) == Path(other)
    # What the user has of that name is meant first.
    Path("edgenet-n").mkdir()
    assert trained_model(Path("edgenet-n")) == Path("edgenet-n")


def test_what_is_kept_is_of_the_recipes_of_the_package() -> None:
    for name, record in shipped_records().items():
        assert name in MODELS
        recipe = load_recipe(record.recipe)
        assert recipe.model.name == name
        assert recipe_hash(recipe) == record.recipe_hash, f"{name}: the recipe {record.recipe} has changed since"
        assert len({seed.seed for seed in record.seeds}) == len(record.seeds) >= 3
        assert {(e.format, e.precision) for e in record.exports} >= {
            (f, p) for f in ("onnx", "openvino") for p in ("fp32", "int8")
        }
        run = trained_model(name)
        metrics = json.loads((run / "metrics.json").read_text())
        assert metrics["test_accuracy"] == record.accuracy
        assert metrics["seed"] in {seed.seed for seed in record.seeds}
        for seed in record.seeds:
            history = (run / f"history-{seed.seed}.csv").read_text().splitlines()
            assert len(history) == recipe.training.epochs + 1
    models = records.STORED_RESULTS.glob("*/model.keras")
    assert sum(file.stat().st_size for file in models) <= 3 << 20


def test_models_lists_what_was_reached(folder: Path) -> None:
    listed = {entry["name"]: entry for entry in describe_models()}
    assert listed["edgenet-n"]["accuracy"] == 0.93
    assert listed["edgenet-n"]["int8_bytes"] == 110_000
    assert listed["edgenet-n"]["int8_accuracy"] == pytest.approx(0.9295)
    assert listed["edgenet-l"]["accuracy"] is None and listed["edgenet-l"]["int8_bytes"] is None
    table = CliRunner().invoke(cli, ["models"]).stdout
    assert "94.50%" in table and "110,000" in table
    assert "92.90, 93.00, 93.20" in table and "A GPU" in table


def test_what_other_recipes_reached_is_listed_after_the_kept_models_own(folder: Path) -> None:
    for recipe, accuracy in (("quick", 0.91), ("long", 0.92)):
        place = folder / "edgenet-n" / "others" / recipe
        place.mkdir(parents=True)
        other = dataclasses.replace(make_record("edgenet-n", accuracy), recipe=recipe)
        (place / "record.json").write_text(json.dumps(other.to_json()))
    assert [record.recipe for record in other_records("edgenet-n")] == ["long", "quick"]
    listed = {entry["name"]: entry for entry in describe_models()}
    assert listed["edgenet-n"]["accuracy"] == 0.93
    assert [reached["recipe"] for reached in listed["edgenet-n"]["recipes"]] == ["edgenet-n-some", "long", "quick"]
    assert listed["edgenet-n"]["recipes"][1] == {
        "recipe": "long",
        "accuracy": 0.92,
        "seeds": {"0": pytest.approx(0.919), "1": 0.92, "2": pytest.approx(0.922)},
        "seconds": 10.0,
        "trained_on": "A GPU",
    }
    assert listed["edgenet-l"]["recipes"] == []


def test_the_plot_marks_ours_and_theirs(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    result = CliRunner().invoke(cli, ["models", "--plot", str(tmp_path / "pareto.svg"), "--json"])
    assert result.exit_code == 0, result.output
    json.loads(result.stdout)
    svg = (tmp_path / "pareto.svg").read_text()
    assert svg.count("<!-- edgenet-n -->") == 4
    for point in published_points():
        assert point.source in svg
    points = family_points(shipped_records())
    assert points["parameters"]["edgenet-n"] == (MODELS["edgenet-n"].params, pytest.approx(93.0))
    assert points["int8_bytes"]["edgenet-s"] == (110_000, pytest.approx(94.45))


def test_a_plot_that_cannot_be_is_said(folder: Path, tmp_path: Path) -> None:
    for file in (tmp_path / "pareto.txt", tmp_path / "none" / "pareto.png"):
        assert CliRunner().invoke(cli, ["models", "--plot", str(file)]).exit_code == 2
    with pytest.raises(DataError, match="record_family"):
        plot_pareto({}, published_points(), tmp_path / "p.png")
