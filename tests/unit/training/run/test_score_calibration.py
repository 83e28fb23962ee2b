"""A recipe may leave the scores of its model alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from edge_fm.training import Recipe, TrainingPart, recipe_hash
from edge_fm.training.run.score_calibration import calibrate_scores


def test_no_temperature_is_fitted_where_the_recipe_says_so() -> None:
    recipe = Recipe(training=TrainingPart(temperature=False))
    learner = SimpleNamespace(recipe=recipe)  # with no model: none is asked
    assert calibrate_scores(cast("Any", learner), cast("Any", None), dataset="x") is None


def test_a_recipe_is_the_same_with_and_without() -> None:
    # No weight that is learned and no predicted class changes, so stored results stay those of their recipes.
    assert recipe_hash(Recipe()) == recipe_hash(Recipe(training=TrainingPart(temperature=False)))
