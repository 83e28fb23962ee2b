"""The [search] table of a recipe: which keys are searched, over what, and how."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from edge_fm.training.recipe import Recipe, nearest
from edge_fm.training.recipe.keys import with_keys
from edge_fm_runtime.errors import RecipeError

SamplerName = Literal["tpe", "random"]
PrunerName = Literal["median", "hyperband", "none"]
_RANGE = ("low", "high", "log", "step", "when")


@dataclass(frozen=True)
class Dimension:
    """One searched key.

    Attributes:
        path: such as "optimizer.learning_rate".
        choices: its values; empty for a range.
        low, high: ends of a range, both included; whole numbers search whole numbers.
        log: whether orders of magnitude are equally likely.
        step: distance of the values of a range, or None.
        when: key path -> the values with which this key is searched; elsewhere it is left as it is.
    """

    path: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether it is a range of whole numbers."""
        return not self.choices and all(isinstance(end, int) for end in (self.low, self.high))

    def examples(self) -> tuple[Any, ...]:
        """All choices, or the two ends."""
        return self.choices or (self.low, self.high)

    def to_json(self) -> dict[str, Any]:
        """As JSON values, for comparing two spaces."""
        when = {path: list(values) for path, values in self.when.items()}
        if self.choices:
            return {"choices": list(self.choices), "when": when}
        return {"low": self.low, "high": self.high, "log": self.log, "step": self.step, "when": when}


@dataclass(frozen=True)
class SearchPlan:
    """The [search] table.

    Attributes:
        dimensions: what is searched; a key stands after those that its `when` names.
        trials: how many, unless the caller says otherwise.
        sampler: tpe (Bergstra et al. 2011) or random.
        pruner: what stops a hopeless trial early, by validation accuracy after each epoch: median, hyperband
            (Li et al. 2018) or none.
    """

    dimensions: tuple[Dimension, ...]
    trials: int = 20
    sampler: SamplerName = "tpe"
    pruner: PrunerName = "median"


def parse_search(table: Any, recipe: Recipe) -> SearchPlan:
    """Read and check a [search] table.

    Args:
        table: `trials`, `sampler`, `pruner`, and `space`: key paths -> a list of choices, `{choices = [...]}`, or
            `{low = ..., high = ..., log = true, step = ...}`; either with `when = {key = [values]}`.
        recipe: that the searched values are put into; each end and each choice is tried on it.

    Raises:
        RecipeError: what is wrong, and where.

    Example:
        >>> from edge_fm.training import Recipe
        >>> space = {"optimizer": {"learning_rate": {"low": 1e-4, "high": 0.1, "log": True}}}
        >>> parse_search({"space": space}, Recipe()).dimensions[0].path
        'optimizer.learning_rate'
    """
    if not isinstance(table, dict):
        raise RecipeError(f"[search] must be a table, got {table!r}.")
    known = ("trials", "sampler", "pruner", "space")
    _known(table, known, "[search]")
    trials = table.get("trials", 20)
    if type(trials) is not int or trials < 1:
        raise RecipeError(f"[search] trials is {trials!r}; it must be a whole number of at least 1.")
    sampler = _choice(table.get("sampler", "tpe"), get_args(SamplerName), "sampler")
    pruner = _choice(table.get("pruner", "median"), get_args(PrunerName), "pruner")
    space = table.get("space", {})
    if not isinstance(space, dict) or not space:
        raise RecipeError(
            "[search.space] names no key to search.",
            hint='For example: "optimizer.learning_rate" = { low = 1e-4, high = 0.1, log = true }',
        )
    plan = SearchPlan(_ordered(_dimensions(space, "")), trials, sampler, pruner)  # type: ignore[arg-type]
    _try(plan, recipe)
    return plan


def _known(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise RecipeError(f"{where} has no key {key!r}. Supported: {', '.join(known)}.", hint=nearest(key, known))


def _choice(value: Any, choices: tuple[str, ...], what: str) -> str:
    if value not in choices:
        raise RecipeError(
            f"[search] {what} is {value!r}. Supported: {', '.join(choices)}.", hint=nearest(str(value), choices)
        )
    return str(value)


def _dimensions(space: Mapping[str, Any], prefix: str) -> list[Dimension]:
    found: list[Dimension] = []
    for key, value in space.items():
        path = f"{prefix}{key}"
        if isinstance(value, list):
            found.append(_choices(path, value, {}))
        elif isinstance(value, dict) and "choices" in value:
            _known(value, ("choices", "when"), f"[search.space] {path}")
            found.append(_choices(path, value["choices"], _when(path, value)))
        elif isinstance(value, dict) and {"low", "high"} & value.keys():
            found.append(_range(path, value))
        elif isinstance(value, dict) and value:
            found += _dimensions(value, f"{path}.")
        else:
            raise RecipeError(
                f"[search.space] {path} is {value!r}.",
                hint="Give a list of choices, or { low = ..., high = ... } with log = true or step = ... if you like.",
            )
    return found


def _choices(path: str, values: Any, when: Mapping[str, tuple[Any, ...]]) -> Dimension:
    plain = (str, int, float, bool, list)
    if not isinstance(values, list) or len(values) < 2 or not all(isinstance(value, plain) for value in values):
        raise RecipeError(f"[search.space] {path}: choices are {values!r}; give a list of two or more values.")
    if len({json.dumps(value) for value in values}) < len(values):
        raise RecipeError(f"[search.space] {path}: {values!r} has a choice twice.")
    return Dimension(path, choices=tuple(values), when=when)


def _range(path: str, table: Mapping[str, Any]) -> Dimension:
    where = f"[search.space] {path}"
    _known(table, _RANGE, where)
    ends = []
    for name in ("low", "high"):
        end = table.get(name)
        if isinstance(end, bool) or not isinstance(end, int | float) or not math.isfinite(end):
            raise RecipeError(f"{where}: {name} is {end!r}; a range needs two numbers, low and high.")
        ends.append(end)
    low, high = ends if all(isinstance(end, int) for end in ends) else map(float, ends)
    log, step = table.get("log", False), table.get("step")
    if low >= high:
        raise RecipeError(f"{where}: low is {low} and high is {high}; low must be below high.")
    if not isinstance(log, bool) or (log and low <= 0):
        raise RecipeError(f"{where}: log is {log!r} and low is {low}; log is true or false, and needs low above 0.")
    if step is not None and (isinstance(step, bool) or not isinstance(step, int | float) or step <= 0 or log):
        raise RecipeError(f"{where}: step is {step!r}; it must be a number above 0, and does not go with log.")
    if step is not None and isinstance(low, int) and not isinstance(step, int):
        raise RecipeError(f"{where}: step is {step!r} in a range of whole numbers; give a whole number.")
    return Dimension(path, low=low, high=high, log=log, step=step, when=_when(path, table))


def _when(path: str, table: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    when = table.get("when", {})
    if not isinstance(when, dict):
        raise RecipeError(
            f"[search.space] {path}: when is {when!r}.", hint='For example: when = { "optimizer.name" = ["sgd"] }'
        )
    flat: dict[str, tuple[Any, ...]] = {}
    for key, value in when.items():
        if isinstance(value, dict):  # optimizer.name without quotes
            flat |= {f"{key}.{inner}": _several(entry) for inner, entry in value.items()}
        else:
            flat[key] = _several(value)
    return flat


def _several(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list) else (value,)


def _ordered(dimensions: list[Dimension]) -> tuple[Dimension, ...]:
    """Each after what its `when` names."""
    paths = {dimension.path for dimension in dimensions}
    if len(paths) < len(dimensions):
        twice = next(d.path for i, d in enumerate(dimensions) if d.path in {e.path for e in dimensions[:i]})
        raise RecipeError(f"[search.space] names {twice} twice.")
    ordered: list[Dimension] = []
    left = dimensions
    while left:
        done = {dimension.path for dimension in ordered}
        ready = [d for d in left if all(path in done or path not in paths for path in d.when)]
        if not ready:
            raise RecipeError(f"[search.space] {left[0].path}: the `when` of {len(left)} keys go in a circle.")
        ordered += ready
        left = [d for d in left if d not in ready]
    return tuple(ordered)


def _try(plan: SearchPlan, recipe: Recipe) -> None:
    """Every choice and end must make a recipe, so that a search cannot fail in its tenth trial."""
    for dimension in plan.dimensions:
        given = {path: values[0] for path, values in dimension.when.items()}
        for value in dimension.examples():
            try:
                with_keys(recipe, {**given, dimension.path: value})
            except RecipeError as error:
                raise RecipeError(
                    f"[search.space] {dimension.path} = {value!r}: {error.message}", hint=error.hint
                ) from error
