"""Every experiment beside what was achieved: the median of its seeds, their spread, and what a difference may mean."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from edge_fm.experiments.current import current_of, why_changed
from edge_fm.experiments.results import Result
from edge_fm.experiments.table import Experiment, load_experiments
from edge_fm.training import Recipe, recipe_hash

_PER_SEED = ("seed", "accuracy", "val_accuracy", "epochs", "best_epoch", "seconds", "machine", "date", "precision")


def experiment_rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Every experiment beside its results, as `edgefm experiments --json` prints them.

    A result counts for every row whose recipe is the same, whatever its name; of two with the same seed, the one in the
    recipe's own precision does, else the later in `results`. `status` is "run", "tried" (run with changes, such as
    fewer epochs: shows that it works, its accuracy stands for nothing), "out of date" (recipe, model or data have
    changed since) or "not run".

    `achieved_accuracy` is the median of the seeds in `seeds`, and null except for "run"; the other figures are those of
    the seed that is the median, or next to it. `spread_points` is the highest less the lowest of at least two seeds,
    `within_spread` whether the report's figure is no farther from the median than that: then the seed alone explains
    the difference.
    """
    rows = []
    for row in load_experiments():
        recipe = row.recipe
        digest = recipe_hash(recipe)
        seeds, latest, status, changed = _sorted_out(row, recipe, results)
        achieved = statistics.median(one.accuracy for one in seeds) if seeds else None
        middle = min(seeds, key=lambda one: abs(one.accuracy - (achieved or 0.0))) if seeds else None
        shown = middle or latest
        spread = _points(max(s.accuracy for s in seeds), min(s.accuracy for s in seeds)) if len(seeds) > 1 else None
        difference = _points(achieved, row.reported)
        rows.append(
            {
                "name": row.name,
                "source": row.source,
                "report": {
                    "letter": row.report.letter,
                    "name": row.report.name,
                    "title": row.report.title,
                    "year": row.report.year,
                },
                "model": recipe.model.name,
                "reported_accuracy": row.reported,
                "achieved_accuracy": achieved,
                "difference_points": difference,
                "spread_points": spread,
                "within_spread": None if difference is None or spread is None else abs(difference) <= spread,
                "seeds": [{key: getattr(one, key) for key in _PER_SEED} for one in seeds],
                "val_accuracy": middle.val_accuracy if middle else None,
                "status": status,
                "seconds": shown.seconds if shown else None,
                "machine": shown.machine if shown else None,
                "date": shown.date if shown else None,
                "epochs": shown.epochs if shown else None,
                "best_epoch": shown.best_epoch if shown else None,
                "images": dict(shown.images) if shown else None,
                "seed": shown.seed if shown else recipe.seed,
                "recipe_hash": digest,
                "variant_of": row.variant_of,
                "note": _note(row, shown, status, changed, _precisions(seeds, results)),
            }
        )
    return rows


def results_of(name: str, recipe: Recipe, results: Sequence[Result]) -> tuple[Result, ...]:
    """The results that count for a row, by seed: in full, of the same recipe, of the network and data of today.

    One in the recipe's own precision goes before one in another.

    Args:
        name: of the experiment, whose results go before those of another row of the same recipe.
        recipe: its own.
        results: all that there are.
    """
    digest = recipe_hash(recipe)
    same = [result for result in results if result.in_full and result.recipe_hash == digest]
    if not same:
        return ()
    now = current_of(name, recipe)
    by_seed: dict[int, Result] = {}
    for result in sorted(same, key=lambda one: (one.precision is None, one.name == name)):
        if why_changed(result, now) is None:
            by_seed[result.seed] = result
    return tuple(by_seed[seed] for seed in sorted(by_seed))


def _sorted_out(
    row: Experiment, recipe: Recipe, results: Sequence[Result]
) -> tuple[tuple[Result, ...], Result | None, str, str]:
    """The results that count; else the one to mention; the row's status, and what has changed."""
    seeds = results_of(row.name, recipe, results)
    if seeds:
        return seeds, None, "run", ""
    own = [one for one in results if one.name == row.name]
    full = [one for one in own if one.in_full]
    tried = [one for one in own if not one.in_full]
    # A trial has other data than its recipe, so of a trial only the recipe is looked at.
    if full:
        latest = full[-1]
        changed = "recipe"
        if latest.recipe_hash == recipe_hash(recipe):
            changed = why_changed(latest, current_of(row.name, recipe)) or ""
        return (), latest, "out of date", changed
    if tried:
        changed = "" if tried[-1].recipe_hash == recipe_hash(recipe) else "recipe"
        return (), tried[-1], "out of date" if changed else "tried", changed
    return (), None, "not run", ""


def _points(accuracy: float | None, other: float | None) -> float | None:
    return None if accuracy is None or other is None else round(100 * (accuracy - other), 2)


def _precisions(seeds: Sequence[Result], results: Sequence[Result]) -> str:
    """Which of a row's results are in another precision, and what that precision did where it was compared."""
    others = [one for one in seeds if one.precision is not None]
    if not others:
        return ""
    precision = others[0].precision
    which = "" if len(others) == len(seeds) else f"Seed {', '.join(str(one.seed) for one in others)}: "
    compared = [
        f"{one.accuracy:.2%} beside {plain.accuracy:.2%} ({one.name}, seed {one.seed})"
        for one in results
        for plain in results
        if one.precision == precision
        and plain.precision is None
        and one.in_full
        and plain.in_full
        and (one.recipe_hash, one.seed) == (plain.recipe_hash, plain.seed)
    ]
    beside = (
        f"in place of the recipe's own, which it was compared with: {'; '.join(compared)}"
        if compared
        else ("in place of the recipe's own, which it was not compared with")
    )
    return f"{which}Trained in {precision} {beside}."


def _note(row: Experiment, result: Result | None, status: str, changed: str, precisions: str) -> str:
    parts = [row.note] if row.note else []
    if result is not None and result.weights is not None:
        parts.append(f"Weights from {result.weights['file']} (SHA-256 {result.weights['sha256'][:12]}).")
    if status == "tried" and result is not None:
        changes = ", ".join(f"{key} {value}" for key, value in result.changes.items())
        parts.append(
            f"Only tried, with {changes}: it trains; its accuracy of {result.accuracy:.4f} stands for nothing."
        )
    if status == "out of date" and result is not None:
        what = {"recipe": "The recipe has", "model": "The model's layers have", "data": "The data has"}[changed]
        parts.append(f"{what} changed since it was run on {result.date[:10]}.")
    if status == "run" and result is not None and result.name != row.name:
        parts.append(f"The same recipe as {result.name}.")
    if precisions:
        parts.append(precisions)
    return " ".join(parts)


def rows_due(rows: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> list[tuple[str, int | None]]:
    """Which experiments and seeds are still to be run; rows of one recipe are run once.

    Args:
        rows: as from `experiment_rows`.
        seeds: that each row should have; none for the recipe's own.
    """
    due: list[tuple[str, int | None]] = []
    seen: set[tuple[str, int | None]] = set()
    for row in rows:
        have = {one["seed"] for one in row["seeds"]}
        for seed in seeds or (None,):
            missing = not have if seed is None else seed not in have
            if missing and (row["recipe_hash"], seed) not in seen:
                seen.add((row["recipe_hash"], seed))
                due.append((row["name"], seed))
    return due
