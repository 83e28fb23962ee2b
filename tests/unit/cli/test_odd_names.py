"""Folders with names that are no UTF-8: pages and JSON are written, and a recipe says what it cannot hold."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_fm_runtime.artifacts.packaged import packaged_artifact
from edge_fm_runtime.system.json_text import parse_json

NAME = os.fsdecode(b"no \xff UTF-8")


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    source = packaged_artifact("edgenet-s-onnx-int8")
    assert source is not None
    try:
        shutil.copytree(source, tmp_path / NAME)
    except OSError:
        pytest.skip("this file system takes no such name")
    return tmp_path


@pytest.mark.needs("jinja2", "matplotlib")
@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["evaluate", NAME, "--data", "fashion-mnist-mini", "--report", f"{NAME}/r"], "evaluation.json"),
        (["benchmark", NAME, "--against", "none", "--duration", "0.05", "--out", f"{NAME}/r"], "benchmark.json"),
    ],
    ids=["evaluate", "benchmark"],
)
def test_a_report_about_it_is_written(odd: Path, arguments: list[str], file: str) -> None:
    command = [sys.executable, "-m", "edge_fm", *arguments]
    done = subprocess.run(command, cwd=odd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    parse_json((odd / NAME / "r" / file).read_text(encoding="utf-8"))
    assert list((odd / NAME / "r").glob("*.html"))


def test_json_about_it_is_read_by_our_own_reader(tmp_path: Path) -> None:
    """Which takes no halves of characters; `export` and `evaluate` read what a run's training wrote."""
    from edge_fm.training.run.run_folder import write_json

    write_json(tmp_path / "metrics.json", {"run": NAME, "label": "é"})
    found = parse_json((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert found == {"run": r"no \udcff UTF-8", "label": "é"}


@pytest.mark.needs("tomli_w")
def test_a_recipe_says_which_name_it_cannot_hold() -> None:
    from edge_fm.training.recipe import DataPart, Recipe
    from edge_fm.training.recipe.file import recipe_toml
    from edge_fm_runtime.errors import RecipeError

    recipe = Recipe(data=DataPart(source=NAME))
    with pytest.raises(RecipeError, match="cannot hold this name: source = ") as error:
        recipe_toml(recipe)
    assert "ln -s" in str(error.value.hint)
    recipe_toml(dataclasses.replace(recipe, data=DataPart(source="é")))


@pytest.mark.needs("tensorflow")
def test_export_names_the_way_out_before_any_work(tmp_path: Path) -> None:
    from edge_fm.api.export import export
    from edge_fm_runtime.errors import ExportError

    model = tmp_path / "model.keras"
    model.write_bytes(b"never read")
    with pytest.raises(ExportError, match="TensorFlow writes to no such path") as error:
        export(model, ["onnx"], out=tmp_path / NAME / "export")
    assert "--out DIR" in str(error.value.hint)
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]
