"""Equal hashes mean equal trainings, whatever a recipe leaves out; and a new key or model changes no older hash."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from edge_fm.models import model_options
from edge_fm.models.architectures.edgenet import build
from edge_fm.models.table import MODELS
from edge_fm.training import Recipe, SchedulePart, TrainingPart, parse_recipe, recipe_hash
from edge_fm.training.recipe.identity import (
    _ALWAYS,
    AS_BEFORE,
    OPTIONS_AS_BEFORE,
    TRAINED_AS_BEFORE,
    USUAL_AS_BEFORE,
)
from edge_fm.training.recipe.optimizer import USUAL

TEXT = 'name = "n"\n[model]\nname = "edgenet-s"\n[optimizer]\nname = "adamw"\n'


def with_default(monkeypatch: pytest.MonkeyPatch, part: type[Any], key: str, value: Any) -> None:
    """Give an attribute of a dataclass another default, as a later version may."""
    names = [field.name for field in dataclasses.fields(part)]
    defaults = list(part.__init__.__defaults__)
    defaults[names.index(key) - len(names)] = value
    monkeypatch.setattr(part.__init__, "__defaults__", tuple(defaults))


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        (TrainingPart, "ema", 0.999),
        (TrainingPart, "patience", 3),
        (TrainingPart, "epochs", 11),
        (SchedulePart, "after", 2),
    ],
)
def test_another_default_is_another_recipe(
    monkeypatch: pytest.MonkeyPatch, part: type[Any], key: str, value: Any
) -> None:
    section = {TrainingPart: "training", SchedulePart: "schedule"}[part]
    schedule = "" if section == "schedule" else '[schedule]\nname = "step"\n'
    text = TEXT + schedule + f"[{section}]\n" + ('name = "step"\n' if section == "schedule" else "")
    usual = getattr(part(), key)
    before, spelled_out = recipe_hash(parse_recipe(text)), recipe_hash(parse_recipe(f"{text}{key} = {usual}\n"))
    other = recipe_hash(parse_recipe(f"{text}{key} = {value}\n"))
    assert before == spelled_out != other
    with_default(monkeypatch, part, key, value)
    # What is left out now means the new value; what says the old one is the old recipe.
    assert recipe_hash(parse_recipe(text)) == other
    assert recipe_hash(parse_recipe(f"{text}{key} = {usual}\n")) == before


def test_another_usual_rate_is_another_recipe_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    given = TEXT + "learning_rate = 0.002\n"
    before, changed = recipe_hash(parse_recipe(TEXT)), recipe_hash(parse_recipe(given))
    monkeypatch.setitem(USUAL, "adamw", dataclasses.replace(USUAL["adamw"], learning_rate=0.003))
    assert recipe_hash(parse_recipe(TEXT)) not in {before, changed}
    assert recipe_hash(parse_recipe(TEXT)) == recipe_hash(parse_recipe(TEXT + "learning_rate = 0.003\n"))
    assert recipe_hash(parse_recipe(given)) == changed
    assert recipe_hash(parse_recipe(TEXT.replace("adamw", "sgd"))) not in {before, changed}


def test_another_default_of_a_models_option_is_another_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    given = TEXT + "[model.options]\ndropout = 0.25\n"
    before, changed = recipe_hash(parse_recipe(TEXT)), recipe_hash(parse_recipe(given))
    monkeypatch.setitem(build.__kwdefaults__, "dropout", 0.5)
    assert recipe_hash(parse_recipe(TEXT)) not in {before, changed}
    assert recipe_hash(parse_recipe(given)) == changed


def test_other_trained_stages_are_another_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[model]\nname = "resnet50"\nweights = "imagenet"\n'
    before, frozen = recipe_hash(parse_recipe(text)), recipe_hash(parse_recipe(text + 'freeze = "backbone"\n'))
    monkeypatch.setitem(MODELS, "resnet50", dataclasses.replace(MODELS["resnet50"], trained=("conv5",)))
    assert recipe_hash(parse_recipe(text)) != before
    assert recipe_hash(parse_recipe(text + 'freeze = "backbone"\n')) == frozen


def test_every_key_is_counted_or_says_what_training_did_before_it() -> None:
    """A new key, option or model needs a line in `recipe_identity`, so that recipes without it keep their hash."""
    parts = {
        field.name: type(getattr(Recipe(), field.name))
        for field in dataclasses.fields(Recipe)
        if dataclasses.is_dataclass(getattr(Recipe(), field.name))
    }
    assert set(parts) == set(AS_BEFORE)
    for section, part in parts.items():
        keys = {field.name for field in dataclasses.fields(part)}
        assert keys == _ALWAYS.get(section, set()) | set(AS_BEFORE[section]), section
    assert set(USUAL_AS_BEFORE) == set(USUAL)
    for name, usual in USUAL.items():
        assert set(USUAL_AS_BEFORE[name]) == set(dataclasses.asdict(usual)), name
    for name, entry in MODELS.items():
        assert set(OPTIONS_AS_BEFORE[entry.family]) == set(model_options(name)), name
    assert set(TRAINED_AS_BEFORE) <= set(MODELS)
