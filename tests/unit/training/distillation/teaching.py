"""Recipes that learn from teachers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from strokes_data import make_recipe

from edge_fm.training import DistillationPart, Recipe


def taught(*teachers: Path, temperature: float = 2.0, weight: float = 0.7, epochs: int = 2) -> Recipe:
    part = DistillationPart(teacher=tuple(map(str, teachers)), temperature=temperature, weight=weight)
    recipe = make_recipe()
    return dataclasses.replace(recipe, distillation=part, training=dataclasses.replace(recipe.training, epochs=epochs))
