"""Two values for one key of a recipe are wrong usage: the message names both, and nothing is trained."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_fm.api.train import TrainOptions, train
from edge_fm.cli import cli
from edge_fm.training import with_overrides
from edge_fm.training.recipe.overrides import OPTION_KEYS, check_given_once
from edge_fm_runtime.errors import GivenTwiceError

VALUES = {"size": "28x28x1", "skip_unreadable": "0.1", "learning_rate": "0.1"}
SPACE = '[search.space]\n"training.epochs" = { low = 1, high = 3 }\n'


def test_every_option_that_edits_a_recipe_has_its_key() -> None:
    assert {*OPTION_KEYS, "options"} == set(inspect.signature(with_overrides).parameters) - {"recipe"}


@pytest.mark.parametrize("name", OPTION_KEYS)
def test_an_option_and_set_do_not_give_one_key(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    option, key = f"--{name.replace('_', '-')}", OPTION_KEYS[name]
    result = CliRunner().invoke(cli, ["train", option, VALUES.get(name, "1"), "--set", f"{key}=2"])
    assert result.exit_code == 2
    assert f"{key} is given twice: by {option} and by --set {key}." in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["train", "--option", "dropout=0.1", "--set", "model.options.dropout=0.2"],
            "by --option dropout and by --set",
        ),
        (["train", "--option", "dropout=0.1", "--set", "model.options={dropout = 0.2}"], "and by --set model.options."),
        (["train", "--option", "dropout=0.1", "--option", "dropout=0.2"], "dropout is given twice"),
        (["train", "--set", "seed=1", "--set", "seed=2"], "seed is given twice"),
        (["experiments", "--run", "x", "--set", "seed=1", "--set", "seed=2"], "seed is given twice"),
        (["experiments", "--run", "x", "--weights", "a", "--set", "model.weights=b"], "exclude each other"),
        (["sweep", "--epochs", "1", "--grid", "training.epochs=1,2"], "by --epochs and by --grid training.epochs"),
        (["sweep", "--data", "a", "--grid", "data.source=b,c"], "by --data and by --grid data.source"),
        (["search", "own.toml", "--epochs", "1"], "by --epochs and by the [search.space] of own.toml: training.epochs"),
    ],
)
def test_other_ways_to_give_two_values(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.toml").write_text(SPACE)
    result = CliRunner().invoke(cli, arguments)
    assert (result.exit_code, says in result.stderr) == (2, True), result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["own.toml"]


def test_other_keys_and_what_is_not_given_are_left_alone() -> None:
    check_given_once({"epochs": 1, "data": None, "freeze": ()}, ["data.source", "model.freeze", "seed"], "--set")
    check_given_once({"model_options": {"dropout": 0.1}}, ["model.options.alpha", "model.name"], "--set")


def test_python_says_so_too() -> None:
    with pytest.raises(GivenTwiceError, match=r"training\.epochs is given twice"):
        train(options=TrainOptions(epochs=1, settings={"training.epochs": 2}))
