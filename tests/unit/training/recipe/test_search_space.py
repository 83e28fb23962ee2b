"""The [search] table: what it means, and that mistakes are said before the first trial."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from edge_fm.training import ModelPart, OptimizerPart, Recipe
from edge_fm.training.recipe.file import load_search
from edge_fm.training.recipe.keys import TABLE_EXAMPLES, parse_value, value_at, with_keys
from edge_fm.training.recipe.search_space import parse_search
from edge_fm.training.recipe.table import recipe_table
from edge_fm_runtime.errors import ModelError, RecipeError


def plan(text: str, recipe: Recipe | None = None):
    return parse_search(tomllib.loads(text)["search"], recipe or Recipe())


def test_every_kind_of_dimension_is_read_and_conditions_come_first() -> None:
    result = plan(
        """
        [search]
        trials = 7
        pruner = "hyperband"
        [search.space]
        "optimizer.momentum" = { low = 0.5, high = 0.9, when = { "optimizer.name" = ["sgd", "rmsprop"] } }
        "optimizer.learning_rate" = { low = 1e-4, high = 1, log = true }
        optimizer.name = ["sgd", "adam", "rmsprop"]
        training.batch_size = { low = 16, high = 64, step = 16 }
        """
    )
    found = {d.path: d for d in result.dimensions}
    assert (result.trials, result.pruner, result.sampler) == (7, "hyperband", "tpe")
    assert [d.path for d in result.dimensions].index("optimizer.name") < [d.path for d in result.dimensions].index(
        "optimizer.momentum"
    )
    assert found["optimizer.momentum"].when == {"optimizer.name": ("sgd", "rmsprop")}
    assert found["training.batch_size"].whole and not found["optimizer.learning_rate"].whole
    assert found["optimizer.learning_rate"].high == 1.0 and found["optimizer.learning_rate"].log


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[search]\ntrials = 3", "names no key"),
        ("[search]\ntrial = 3", "Did you mean 'trials'"),
        ("[search]\ntrials = 0", "at least 1"),
        ('[search]\nsampler = "tp"', "Did you mean 'tpe'"),
        ('[search]\npruner = "never"', "Supported: median, hyperband, none"),
        ("[search.space]\n'optimizer.learning_rat' = [0.1, 0.2]", "Did you mean 'learning_rate'"),
        ("[search.space]\n'optimizer.learning_rate' = [0.1, 'x']", "must be a number"),
        ("[search.space]\n'optimizer.learning_rate' = [0.1, -0.1]", "above 0"),
        ("[search.space]\n'optimizer.learning_rate' = [0.1]", "two or more"),
        ("[search.space]\n'optimizer.name' = ['sgd', 'sgd']", "a choice twice"),
        ("[search.space]\n'optimizer.name' = ['sgd', 'sdg']", "Did you mean 'sgd'"),
        ("[search.space]\n'training.epochs' = {low = 3, high = 1}", "low must be below high"),
        ("[search.space]\n'training.epochs' = {low = 0, high = 3}", "at least 1"),
        ("[search.space]\n'training.epochs' = {low = 1.0, high = 3.5}", "a whole number"),
        ("[search.space]\n'training.epochs' = {low = 1, high = 3, step = 0.5}", "give a whole number"),
        ("[search.space]\n'training.epochs' = {low = 1}", "needs two numbers"),
        ("[search.space]\n'training.epochs' = {low = 1, high = 4, logg = true}", "Did you mean 'log'"),
        ("[search.space]\n'optimizer.weight_decay' = {low = 0, high = 0.1, log = true}", "needs low above 0"),
        ("[search.space]\n'optimizer.momentum' = {low = 0.1, high = 0.9}", "momentum belongs to sgd"),
        ("[search.space]\nepochs = 3", "is 3"),
        (
            "[search.space]\n'training.epochs' = {low = 1, high = 2, when = {seed = 1}}\n"
            "seed = {low = 1, high = 2, when = {'training.epochs' = 1}}",
            "go in a circle",
        ),
    ],
)
def test_mistakes_are_named(text: str, says: str) -> None:
    with pytest.raises(RecipeError) as raised:
        plan(text)
    assert says in str(raised.value)


def test_a_recipe_without_search_says_what_to_add(tmp_path: Path) -> None:
    path = tmp_path / "plain.toml"
    path.write_text('name = "plain"\n')
    with pytest.raises(RecipeError, match=r"there is no \[search\] table"):
        load_search(path)
    with pytest.raises(RecipeError, match="cannot be read"):
        load_search(tmp_path / "absent.toml")


def test_keys_edit_a_recipe_as_options_do() -> None:
    base = Recipe(
        model=ModelPart(options={"dropout": 0.5}), optimizer=OptimizerPart(name="sgd", learning_rate=3.0, momentum=0.8)
    )
    assert with_keys(base, {"optimizer.name": "adam"}).optimizer == OptimizerPart(name="adam")
    assert with_keys(base, {"optimizer.name": "sgd"}).optimizer == base.optimizer
    assert with_keys(base, {"model.options.dropout": 0.1}).model.options == {"dropout": 0.1}
    assert with_keys(base, {"seed": 4, "data.shape": [8, 8, 1]}).data.shape == (8, 8, 1)
    assert value_at(base, "model.options.dropout") == 0.5 and value_at(base, "optimizer.vector_ratio") is None
    for path in ("optimizer", "model.name.x", "seed.x", "", "nothing", "optimizer."):
        with pytest.raises(RecipeError):
            with_keys(base, {path: 1})
    with pytest.raises(ModelError):
        with_keys(base, {"model.name": "nothing"})


@pytest.mark.parametrize("text", ["{Coat=", '{Coat="X"', '{Coat: "X"}', "abc", "3"])
def test_what_is_no_table_is_named_with_an_example_that_is_one(text: str) -> None:
    parts = {name: part for name, part in recipe_table(Recipe()).items() if isinstance(part, dict)}
    tables = {f"{name}.{key}" for name, part in parts.items() for key, value in part.items() if isinstance(value, dict)}
    assert tables == set(TABLE_EXAMPLES)
    for path, example in TABLE_EXAMPLES.items():
        with pytest.raises(RecipeError) as raised:
            with_keys(Recipe(), {path: parse_value(text)})
        assert f"{path} must be a table as TOML writes it, got {parse_value(text)!r}" in raised.value.message
        assert f"'{path}={example}'" in str(raised.value.hint)
        assert value_at(with_keys(Recipe(), {path: parse_value(example)}), path) == parse_value(example)


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("epochs", "Did you mean 'training.epochs'?"),
        ("epoch", "Did you mean 'training.epochs'?"),
        ("batch_size", "Did you mean 'training.batch_size'?"),
        ("learning_rate", "Did you mean 'optimizer.learning_rate'?"),
        ("temperature", "Did you mean 'training.temperature' or 'distillation.temperature'?"),
        ("sed", "Did you mean 'seed'?"),
    ],
)
def test_a_key_without_its_section_is_suggested_with_it(key: str, hint: str) -> None:
    with pytest.raises(RecipeError) as raised:
        with_keys(Recipe(), {key: 3})
    assert raised.value.hint == hint


def test_values_are_read_as_toml_or_as_words() -> None:
    texts = ("1e-3", "7", "false", "[1, 2]", "one-cycle", "runs/a b.keras", "'7'")
    assert [parse_value(text) for text in texts] == [0.001, 7, False, [1, 2], "one-cycle", "runs/a b.keras", "7"]
