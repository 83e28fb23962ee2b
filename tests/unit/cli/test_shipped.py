"""The model in the package: what answers right after an installation."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_fm.cli import cli
from edge_fm.cli.common import shipped_model
from edge_fm.data import load_dataset, sample_photo
from edge_fm.models.records import trained_model
from edge_fm.training import load_recipe, recipe_hash


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without runs, and no $EDGEFM_MODEL."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGEFM_MODEL", raising=False)


def test_a_photo_is_answered_by_it_and_it_says_so(tmp_path: Path) -> None:
    dataset = load_dataset("fashion-mnist-mini")
    wanted = dataset.label_names.index("Trouser")
    index = int((dataset.test.labels == wanted).argmax())
    sample_photo(dataset.test.images[index], tmp_path / "photo.jpg")
    done = CliRunner().invoke(cli, ["infer", "photo.jpg", "--json"])
    assert done.exit_code == 0, done.output
    assert "shipped with edge-fm" in done.stderr
    assert json.loads(done.stdout)["label"] == "Trouser"


def test_it_verifies_and_is_small() -> None:
    folder = shipped_model()
    assert folder is not None
    assert CliRunner().invoke(cli, ["verify", str(folder), "--quiet"]).exit_code == 0
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 300 * 1024


def test_it_is_as_accurate_as_its_card_says_within_the_mini_set() -> None:
    folder = shipped_model()
    done = CliRunner().invoke(cli, ["evaluate", str(folder), "--data", "fashion-mnist-mini", "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads((folder / "edgefm.json").read_text())["accuracy"]["value"]
    # 1,000 of the 10,000 images: three standard errors.
    assert json.loads(done.stdout)["accuracy"] == pytest.approx(said, abs=0.025)


def test_it_was_made_from_the_packages_own_keras_model_for_any_cpu() -> None:
    folder = shipped_model()
    said = json.loads((folder / "edgefm.json").read_text())
    assert said["quantization"]["safe_for"] == "any CPU"
    made_from = trained_model(said["training"]["run"]) / "model.keras"
    assert hashlib.sha256(made_from.read_bytes()).hexdigest() == said["source"]["sha256"]
    kept = load_recipe(made_from.with_name("recipe.toml"))
    assert recipe_hash(kept) == said["training"]["recipe_hash"]
    as_listed = replace(kept, distillation=replace(kept.distillation, sha256=()))
    assert recipe_hash(as_listed) == recipe_hash(load_recipe(said["training"]["run"]))
