"""Recipes: round trips, defaults, and what each mistake says."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from edge_fm.training import (
    DEFAULT_RECIPE,
    AugmentationPart,
    Recipe,
    TrainingPart,
    load_recipe,
    parse_recipe,
    recipe_hash,
    recipe_table,
    recipe_toml,
    shipped_recipes,
    with_overrides,
)
from edge_fm_runtime.errors import EdgeFMError, ModelError, RecipeError


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_round_trip(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description
    assert parse_recipe(recipe_toml(recipe)) == recipe


def test_the_default_recipe_is_shipped() -> None:
    assert load_recipe() == load_recipe(DEFAULT_RECIPE)
    assert load_recipe().model.name == "edgenet-s"
    assert load_recipe().data.source == "fashion-mnist"


def test_everything_round_trips(tiny_recipe: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(recipe_toml(tiny_recipe))
    assert load_recipe(path) == tiny_recipe
    assert recipe_hash(load_recipe(path)) == recipe_hash(tiny_recipe)


def test_data_that_are_prepared_round_trip() -> None:
    text = """
[data]
relabel = { "T-shirt/top" = "top or trouser", "Trouser" = "top or trouser" }
classes = ["top or trouser", "Bag"]
pool = true
split = [48000, 6000, 6000]
samples = 4500
deduplicate = true
"""
    recipe = parse_recipe(text)
    assert recipe.data.preparation.split == (48000, 6000, 6000)
    assert parse_recipe(recipe_toml(recipe)) == recipe
    assert "[48000, 6000, 6000]" in " ".join(recipe_toml(recipe).split()).replace("[ ", "[").replace(", ]", "]")


def test_the_recipe_in_the_documentation_names_every_key_but_those_of_other_sections() -> None:
    page = (Path(__file__).parents[4] / "docs/reference/recipe.md").read_text("utf-8")
    text = page.partition("```toml\n")[2].partition("```")[0]
    recipe = parse_recipe(text)
    shown, known = tomllib.loads(text), recipe_table(recipe)
    for section in ("data", "training", "schedule"):
        assert set(known[section]) - set(shown[section]) <= {"shape"}
    assert set(known["augmentation"]) - set(shown["augmentation"]) <= {"photo", "photo_spread", "photo_paired"}
    assert set(known["distillation"]) - set(shown["distillation"]) == {"sha256"}


def test_an_empty_recipe_is_the_defaults() -> None:
    assert parse_recipe("") == Recipe()


def test_a_whole_number_will_do_for_a_float() -> None:
    assert parse_recipe("[optimizer]\nlearning_rate = 1").optimizer.learning_rate == 1.0


def test_the_hash_ignores_names_and_nothing_else() -> None:
    base = Recipe()
    assert recipe_hash(Recipe(name="other", description="words")) == recipe_hash(base)
    for changed in (
        Recipe(seed=1),
        Recipe(training=TrainingPart(epochs=11)),
        Recipe(augmentation=AugmentationPart(shift=1)),
    ):
        assert recipe_hash(changed) != recipe_hash(base)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("epochs = 3", "Unknown key 'epochs'"),
        ("[trainin]\nepochs = 3", "Did you mean 'training'?"),
        ("[training]\nepoch = 3", "Did you mean 'epochs'?"),
        ("[training]\nepochs = 0", "at least 1"),
        ("[training]\nepochs = -2", "at least 1"),
        ("[training]\nepochs = 2.5", "a whole number"),
        ("[training]\nepochs = true", "a whole number"),
        ("[training]\nepochs = '3'", "a whole number"),
        ("[training]\nbatch_size = 0", "at least 1"),
        ("[training]\nlabel_smoothing = 1.0", "below 1"),
        ("[optimizer]\nname = 'adamm'", "Did you mean 'adam'?"),
        ("[optimizer]\nlearning_rate = 0", "above 0"),
        ("[optimizer]\nlearning_rate = -0.1", "above 0"),
        ("[optimizer]\nlearning_rate = nan", "above 0"),
        ("[optimizer]\nlearning_rate = inf", "above 0"),
        ("[optimizer]\nweight_decay = -1", "at least 0"),
        ("[optimizer]\nname = 'adam'\nmomentum = 0.9", "adam has none"),
        ("[optimizer]\nname = 'sgd'\nmomentum = 1.0", "below 1"),
        ("[optimizer]\nname = 'sgd'\nvector_ratio = 0.5", "belongs to muon"),
        ("[schedule]\nname = 'one cycle'", "Did you mean 'one-cycle'?"),
        ("[schedule]\nwarmup = 1.0", "below 1"),
        ("[schedule]\nfactor = 1.0", "below 1"),
        ("[schedule]\nevery = 0", "at least 1"),
        ("[schedule]\nname = 'plateau'\nwarmup = 0.1", "plateau"),
        ("[augmentation]\nshift = -1", "supported: 0 to 8192 pixels"),
        ("[augmentation]\nerase = 1.5", "from 0 to 1"),
        ("[augmentation]\nflip = 1", "true or false"),
        ("[augmentation]\nclean_epochs = 99", "of 10 epochs"),
        ("[augmentation]\nmixup = -0.1", "at least 0"),
        ("[augmentation]\nrotation = -1", "0 to 180 degrees"),
        ("[augmentation]\nrotation = nan", "0 to 180 degrees"),
        ("[augmentation]\nzoom = 1.0", "below 1"),
        ("[augmentation]\nbrightness = -0.1", "at least 0"),
        ("[augmentation]\ncontrast = nan", "below 1"),
        ("[augmentation]\ncutout = 0.5", "a whole number"),
        ("[augmentation]\ncutout = -8", "supported: 0 to 8192 pixels"),
        ("[augmentation]\nrotate = 5", "Did you mean 'rotation'?"),
        ("[augmentation]\nmixedup = 0.1", "Did you mean 'mixup'?"),
        ("[training]\nema = 1.0", "below 1"),
        ("[training]\npatience = -1", "0 (off)"),
        ("[optimizer]\nname = 'adam'\nnesterov = true", "belongs to sgd and muon"),
        ("[optimizer]\nname = 'sgd'\nmomentum = 0\nnesterov = true", "momentum is 0"),
        ("[schedule]\nname = 'cosine'\nafter = 3", "belongs to step and exponential"),
        ("[schedule]\nname = 'step'\nafter = -3", "at least 0"),
        ("[training]\nprecision = 'bfloat16'", "Did you mean 'mixed_bfloat16'?"),
        ("[distillation]\nweight = 0", "above 0"),
        ("[distillation]\ntemperatur = 2", "Did you mean 'temperature'?"),
        ("[data]\nvalidation = 0", "above 0"),
        ("[data]\nvalidation = 0.9", "at most 0.5"),
        ("[data]\nvalidation = nan", "at most 0.5"),
        ("[data]\nsource = ''", "source is empty"),
        ("[data]\nshape = [28, 28]", "[height, width, channels]"),
        ("[data]\nshape = [28, 0, 1]", "[height, width, channels]"),
        ("[data]\nshape = ['a', 0, 1]", "whole numbers"),
        ("[data]\nsplit = [48000, 6000]", "three whole numbers"),
        ("[data]\nsplit = [0.8, 0.1, 0.2]", "sum is at most 1"),
        ("[data]\nsplit = [100, 0.1, 0.2]", "three whole numbers"),
        ("[data]\nsplit = ['a']", "a list of numbers"),
        ("[data]\npool = true", "split does not say"),
        ("[data]\nsamples = -1", "0 (all)"),
        ("[data]\nrelabel = { Bag = 3 }", "the name of a class"),
        ("[data]\nclasses = ['Bag', '']", "an empty name"),
        ("[data]\nrelable = {}", "Did you mean 'relabel'?"),
        ("[model]\nweights = 'imagenet'", "no ImageNet weights for edgenet-s"),
        ("[model]\noptions = 3", "a table"),
        ("[photo]\nmode = 'garmet'", "Did you mean 'garment'?"),
        ("[photo]\nbackground = 'black'", "dark, light, any"),
        ("[photo]\nfill = 256", "0 to 255"),
        ("model = 'edgenet-s'", "must be a table"),
        ("seed = -1", "seed is -1"),
        ("name = ''", "names a folder"),
        ("name = 'a/b'", "names a folder"),
        ("schema = 99", "schema 99"),
        ("[training", "is not readable as TOML"),
    ],
)
def test_each_mistake_says_what_is_supported(text: str, says: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, where="mine.toml")
    assert says in str(caught.value)
    assert "mine.toml" in str(caught.value)


def test_an_unknown_model_brings_the_nearest() -> None:
    with pytest.raises(ModelError, match="Did you mean 'edgenet-s'"):
        parse_recipe("[model]\nname = 'edge-net-s'")


def test_an_unknown_recipe_brings_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="Did you mean 'quickstart'"):
        load_recipe("quikstart")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path / "absent.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path / "binary.toml")


def test_overrides_change_what_they_name(tiny_recipe: Recipe) -> None:
    changed = with_overrides(tiny_recipe, epochs=9, batch_size=4, learning_rate=0.5, seed=3, weights="a.keras")
    assert (changed.training.epochs, changed.training.batch_size) == (9, 4)
    assert changed.training.label_smoothing == tiny_recipe.training.label_smoothing
    assert (changed.optimizer.name, changed.optimizer.learning_rate) == ("adamw", 0.5)
    assert (changed.seed, changed.model.weights) == (3, "a.keras")
    assert changed.model.options == tiny_recipe.model.options
    assert with_overrides(tiny_recipe) == tiny_recipe


def test_another_optimizer_brings_its_own_settings() -> None:
    base = load_recipe()
    assert with_overrides(base, optimizer="adam").optimizer.learning_rate is None
    assert with_overrides(base, optimizer="adam", learning_rate=0.1).optimizer.learning_rate == 0.1
    assert with_overrides(base, optimizer=base.optimizer.name) == base


def test_other_data_brings_its_own_photo_preprocessing() -> None:
    base = load_recipe()
    assert with_overrides(base, data="fashion-mnist-mini").photo == base.photo
    assert with_overrides(base, data="photos/").photo.background == "any"


def test_fewer_epochs_shorten_the_clean_ones(tiny_recipe: Recipe) -> None:
    assert with_overrides(tiny_recipe, epochs=1).augmentation.clean_epochs == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"learning_rate": -1.0},
        {"optimizer": "lion"},
        {"model": "resnet"},
        {"weights": "imagenet"},
        {"batch_size": -5},
        {"data": ""},
        {"seed": -1},
    ],
)
def test_overrides_are_checked_too(wrong: dict[str, object]) -> None:
    with pytest.raises(EdgeFMError):
        with_overrides(load_recipe(), **wrong)  # type: ignore[arg-type]


def test_a_recipe_that_uses_no_later_key_keeps_its_hash() -> None:
    # As the first version printed it; runs and kept results of experiments name it.
    assert recipe_hash(load_recipe("quickstart")).startswith("784f5a22cf714516")


@pytest.mark.parametrize("name", ["", "..", ".", "../x", "/x", "a/b", "a\\b", ".hidden", "a\nb", "x" * 300])
def test_a_recipe_is_named_like_a_folder_and_not_like_a_path(name: str) -> None:
    with pytest.raises(RecipeError, match="it names a folder"):
        Recipe(name=name)
