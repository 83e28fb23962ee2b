"""Which recipes are the same: a hash over every value that decides the result, left-out defaults too.

Recipes grow. A key that came after the first version is left out of the hash where it has the value that stands for
what training did before the key existed; so a recipe from before keeps its hash. These values are written down here
and never change, while a default may: the recipes that leave it out then train in another way, and get another hash.
The same holds for what is looked up elsewhere: an optimizer's usual rate, a model's own options, the stages that it
trains.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from edge_fm.models import find_model, model_options
from edge_fm.training.recipe import Recipe
from edge_fm.training.recipe.optimizer import USUAL
from edge_fm.training.recipe.table import recipe_table

_ALWAYS = {
    "model": {"name", "weights", "options"},
    "data": {"source", "shape", "validation"},
    "training": {"epochs", "batch_size", "label_smoothing"},
    "optimizer": {"name", "learning_rate", "weight_decay", "momentum", "nesterov", "vector_ratio"},
    "schedule": {"name", "warmup", "factor", "every"},
    "augmentation": {"flip", "shift", "erase", "clean_epochs"},
    "photo": {"mode", "background", "fill"},
}
"""Keys that every hash counts."""

AS_BEFORE: Mapping[str, Mapping[str, Any]] = {
    "model": {"freeze": "auto", "unfreeze": [], "freeze_until": "", "frozen_statistics": False},
    "data": {
        "validation_seed": None,
        "relabel": {},
        "classes": [],
        "pool": False,
        "split": [],
        "split_seed": 0,
        "deduplicate": False,
        "samples": 0,
        "skip_unreadable": 0.0,
        "group": "",
        "label_column": "",
        "multi_label": False,
        "other_things": "",
        "other_things_weight": 0.5,
    },
    "training": {
        "ema": 0.0,
        "keep": "best",
        "patience": 0,
        "tensorboard": False,
        "precision": "float32",
        "steps": 0,
        "head_epochs": 0,
        "class_weights": "none",
        "balanced_sampling": False,
        "select_by": "accuracy",
        "temperature": False,
    },
    "distillation": {"teacher": [], "temperature": 1.0, "weight": 0.5, "views": 0, "sha256": []},
    "optimizer": {"backbone_rate": 1.0, "first_layer_rate": 1.0, "rates": {}},
    "schedule": {"after": 0},
    "augmentation": {
        "rotation": 0.0,
        "zoom": 0.0,
        "brightness": 0.0,
        "contrast": 0.0,
        "cutout": 0,
        "mixup": 0.0,
        "crop": 0.0,
        "perspective": 0.0,
        "saturation": 0.0,
        "hue": 0.0,
        "grey": 0.0,
        "blur": 0.0,
        "policy": "none",
        "policy_operations": 2,
        "policy_magnitude": 9,
        "cutmix": 0.0,
        "photo": 0.0,
        "photo_spread": [],
        "photo_paired": [],
    },
    "photo": {},
}
"""Later keys, and the value of each that does what training did before it. Never change one; add a new key's."""

USUAL_AS_BEFORE: Mapping[str, Mapping[str, float]] = {
    "sgd": {"learning_rate": 0.1, "weight_decay": 5e-3, "momentum": 0.9, "vector_ratio": 1.0},
    "rmsprop": {"learning_rate": 1e-3, "weight_decay": 0.0, "momentum": 0.0, "vector_ratio": 1.0},
    "adam": {"learning_rate": 1e-3, "weight_decay": 0.0, "momentum": 0.0, "vector_ratio": 1.0},
    "adamw": {"learning_rate": 2e-3, "weight_decay": 0.05, "momentum": 0.0, "vector_ratio": 1.0},
    "muon": {"learning_rate": 8e-3, "weight_decay": 0.05, "momentum": 0.95, "vector_ratio": 0.5},
}
"""What a recipe that names only the optimizer got when that optimizer was new."""

_TRANSFER = {"size": 32, "dense": (), "dropout": 0.0}
_AVERAGED = {"size": 224, "dense": (), "dropout": 0.2}
OPTIONS_AS_BEFORE: Mapping[str, Mapping[str, Any]] = {
    "edgenet": {"dropout": 0.0},
    "cnn": {"dropout": None, "l2": None, "activation": "relu"},
    "convnet5": {"dense": 1000, "dropout": 0.0},
    "lenet": {
        "kernels": (6, 16),
        "kernel_size": 5,
        "dense": (120, 84),
        "activation": "tanh",
        "pooling": "average",
        "dropout": 0.0,
    },
    "convnext": _AVERAGED,
    "efficientnet-lite": _AVERAGED,
    "efficientnet-v2": _AVERAGED,
    "mobilenet": {"alpha": 1.0, "size": 128, "dense": (256,), "dropout": 0.5},
    "mobilenet-v3": {"alpha": 1.0, **_AVERAGED},
    "resnet": _TRANSFER,
    "vgg": _TRANSFER,
}
"""By family: what a recipe that gives no options got when the option was new."""

TRAINED_AS_BEFORE: Mapping[str, tuple[str, ...]] = {"resnet18": ("layer4",)}
"""Stages of a backbone that `freeze = "auto"` trained when the model was new; none for the models that are not here."""


def recipe_hash(recipe: Recipe) -> str:
    """SHA-256 (hex) of all that decides the result: not name, description, logs, `temperature`, a known teacher's path.

    Example:
        >>> from edge_fm.training import Recipe, recipe_hash
        >>> recipe_hash(Recipe(name="a")) == recipe_hash(Recipe(name="b"))
        True
    """
    table = recipe_table(recipe)
    del table["name"], table["description"]
    if recipe.distillation.sha256:
        table["distillation"]["teacher"] = []
    # What is written beside changes no result, and a temperature no weight that was learned and no predicted class.
    table["training"] |= {"tensorboard": False, "temperature": False}
    for section, as_before in AS_BEFORE.items():
        always = _ALWAYS.get(section, set())
        table[section] = {
            key: value
            for key, value in table[section].items()
            if key in always or key not in as_before or value != as_before[key]
        }
    table["optimizer"] |= _usual_that_changed(recipe)
    table["model"] |= _model_that_changed(recipe)
    for section in AS_BEFORE:
        if not table[section]:
            del table[section]
    canonical = json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _usual_that_changed(recipe: Recipe) -> dict[str, float]:
    """What the optimizer takes where the recipe says nothing, if it is another value than it once was."""
    name = recipe.optimizer.name
    return {
        key: value
        for key, before in USUAL_AS_BEFORE[name].items()
        if getattr(recipe.optimizer, key) is None and (value := getattr(USUAL[name], key)) != before
    }


def _model_that_changed(recipe: Recipe) -> dict[str, Any]:
    """Options and trained stages that the model takes where the recipe says nothing, if they once were others."""
    part, entry = recipe.model, find_model(recipe.model.name)
    before = OPTIONS_AS_BEFORE.get(entry.family, {})
    changed: dict[str, Any] = {}
    options = {
        key: value
        for key, value in model_options(part.name).items()
        if key not in part.options and (key not in before or value != before[key])
    }
    if options:
        changed["options"] = {**part.options, **options}
    if part.freeze == "auto" and entry.trained != TRAINED_AS_BEFORE.get(part.name, ()):
        changed["trained"] = list(entry.trained)
    return changed
