"""`edgefm search`, `crossval` and `sweep` on the mini set, as a person types them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_fm.cli import cli
from edge_fm.training import load_recipe

# Keras 3.15 does not know the `copy` that NumPy 2 gives to `__array__`; its own `Variable.numpy()` warns of it.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]

RECIPE = """
name = "small"
[model]
name = "lenet5"
[data]
source = "fashion-mnist-mini"
[training]
epochs = 1
batch_size = 256
[optimizer]
name = "adam"
learning_rate = 0.003

[search]
trials = 2
[search.space]
"optimizer.learning_rate" = { low = 1e-3, high = 1e-2, log = true }
"model.options.kernels" = [[6, 16], [4, 8]]
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(RECIPE)
    return path


def run(*arguments: object, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


@pytest.mark.needs("tensorflow", "optuna")
def test_search_writes_a_recipe_that_trains(recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "found"
    stdout, notes = run("search", recipe, "--out", out, "--json")
    printed = json.loads(stdout)
    said = [int(number) for number in re.findall(r"^trial (\d+) \(2 in all\)", notes, re.M)]
    assert said == [trial["number"] for trial in printed["trials"]] and "testing" not in notes
    assert [trial["state"] for trial in printed["trials"]] == ["complete", "complete"]
    assert printed["chosen_by"] == "val_accuracy" and printed["best"]["val_accuracy"] > 0.4
    best = load_recipe(out / "best.toml")
    assert best.optimizer.learning_rate == printed["best"]["values"]["optimizer.learning_rate"]
    assert list(best.model.options["kernels"]) == printed["best"]["values"]["model.options.kernels"]
    table, notes = run("search", recipe, "--out", out)
    assert "validation %" in table and "complete" in table and "epoch" not in notes
    rows = [line.split()[0] for line in table.splitlines() if "complete" in line]
    assert rows == [str(trial["number"]) for trial in printed["trials"]]
    assert f"Next: edgefm train --recipe {out / 'best.toml'}" in notes


@pytest.mark.needs("tensorflow")
def test_crossval_prints_mean_and_spread(recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "folds"
    stdout, notes = run("crossval", recipe, "--folds", 2, "--out", out, "--json")
    printed = json.loads(stdout)
    assert "testing" not in notes and "evaluating the fold held out" in notes
    assert [score["held_out"] for score in printed["scores"]] == [3000, 3000]
    assert 0.3 < printed["mean_accuracy"] < 1 and printed["std_accuracy"] >= 0
    table, _ = run("crossval", recipe, "--folds", 2, "--out", out)
    assert f"{100 * printed['mean_accuracy']:.2f}% ± {100 * printed['std_accuracy']:.2f}" in table


@pytest.mark.needs("tensorflow")
def test_sweep_prints_one_table_with_test_accuracy_only_if_asked(recipe: Path, tmp_path: Path) -> None:
    arguments = ["sweep", recipe, "--grid", "optimizer.learning_rate=0.001,0.01", "--out", tmp_path / "grid"]
    printed = json.loads(run(*arguments, "--json")[0])
    assert [row["values"]["optimizer.learning_rate"] for row in printed["rows"]] == [0.001, 0.01]
    assert [row["test_accuracy"] for row in printed["rows"]] == [None, None]
    table, _ = run(*arguments)
    assert "test %" not in table and "validation %" in table
    table, _ = run(*arguments, "--test")
    assert "test % (selects nothing)" in table


@pytest.mark.needs("tensorflow", "optuna")
@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["search", "edgenet-s"], 1, "(photo, report-e-lenet5-search)"),
        (["search", "nothing-here"], 1, "There is no recipe 'nothing-here'"),
        (["search", "absent.toml"], 1, "cannot be read"),
        (["sweep", "--grid", "optimizer.name"], 2, "is not KEY=A,B"),
        (["sweep", "--grid", "seed=1", "--grid", "seed=2"], 2, "given twice"),
        (["sweep", "--grid", "optimizer.nmae=sgd"], 1, "Did you mean 'name'"),
        (["sweep"], 2, "Missing option '--grid'"),
        (["crossval", "--folds", "1"], 2, "--folds"),
    ],
)
def test_mistakes_say_what_to_do(arguments: list[str], code: int, says: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == code and says in result.output
