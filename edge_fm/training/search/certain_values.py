"""The values of trials to come that no result can change, so that their runs can be trained at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_fm.training.recipe.search_space import SearchPlan
from edge_fm.training.search.search_study import (
    STARTUP_TRIALS,
    no_experimental_warnings,
    numbered_sampler,
    require_optuna,
    suggest_values,
)


def certain_values(
    study: Any, plan: SearchPlan, given: Mapping[str, Any], wanted: int, seed: int
) -> list[dict[str, Any]]:
    """The values of the next trials, as far as they depend on seed and number alone.

    A trial's generator is seeded with its number. The random sampler needs nothing else, TPE for its first trials.

    Args:
        study: whose trials were drawn so far.
        plan: the space and the sampler.
        given: values of keys that are not searched.
        wanted: how many complete and pruned trials the study gets.
        seed: of the sampler.
    """
    optuna = require_optuna()
    states = optuna.trial.TrialState
    begun = study.get_trials(deepcopy=True)
    copy = optuna.create_study(sampler=numbered_sampler(plan.sampler, seed), direction="maximize")
    with no_experimental_warnings():
        for trial in begun:
            copy.add_trial(trial)
    left = wanted - sum(trial.state in (states.COMPLETE, states.PRUNED, states.RUNNING) for trial in begun)
    values = []
    for _ in range(left):
        with no_experimental_warnings():
            trial = copy.ask()
        if plan.sampler != "random" and trial.number >= STARTUP_TRIALS:
            break
        values.append(suggest_values(trial, plan, dict(given)))
    return values
