"""Results of experiments that nobody ran, of recipes, networks and data as they are."""

from __future__ import annotations

import dataclasses

from edge_fm.experiments import Result, experiment_rows, find_experiment
from edge_fm.experiments.current import current_of
from edge_fm.training import recipe_hash


def made_up(name: str, **changes: object) -> Result:
    recipe = find_experiment(name).recipe
    now = current_of(name, recipe)
    assert now.params is not None and now.data is not None
    result = Result(
        name=name,
        model=recipe.model.name,
        recipe_hash=recipe_hash(recipe),
        accuracy=0.91,
        val_accuracy=0.92,
        epochs=3,
        best_epoch=2,
        params=now.params,
        seconds=1.5,
        seed=0,
        machine="a machine",
        date="2026-01-02T03:04:05+00:00",
        data={"name": "d", "hash": now.data},
        images={"learn": 3, "choose": 2, "test": 1},
    )
    return dataclasses.replace(result, **changes)


def row_of(name: str, *results: Result) -> dict[str, object]:
    return next(row for row in experiment_rows(results) if row["name"] == name)
