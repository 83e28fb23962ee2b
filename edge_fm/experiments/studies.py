"""Studies: rows of one report that differ in one setting, and what they show by their own numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Point:
    """One setting of a study.

    Attributes:
        setting: such as "SGD" or "32".
        experiment: name of its row.
        reported: accuracy in the report, a fraction.
        achieved: median here, or None where it was not run.
        lowest, highest: of the seeds here, or None.
        spread_points: between these two, or None for one seed.
    """

    setting: str
    experiment: str
    reported: float
    achieved: float | None
    lowest: float | None
    highest: float | None
    spread_points: float | None


@dataclass(frozen=True)
class Study:
    """What one setting does.

    Attributes:
        name: what is varied, such as "batch size".
        points: in order of the setting.
        finding: a sentence with the numbers of the report and ours.
    """

    name: str
    points: tuple[Point, ...]
    finding: str


_BASE = "report-a-cnn4-l2"
_STUDIES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "optimizer": (("Adam", "adam"), ("SGD", "sgd")),
    "batch size": tuple((n, f"batch-{n}") for n in ("16", "32", "64", "128")),
    "learning rate": tuple((n, f"rate-{n}") for n in ("0.001", "0.002", "0.01", "0.02")),
    "epochs": tuple((n, f"epochs-{n}") for n in ("10", "30", "50", "70")),
}
_WORDS = {
    "optimizer": "{}",
    "batch size": "batch size {}",
    "learning rate": "learning rate {}",
    "epochs": "{} epochs",
}
"""How a setting is called in a sentence."""


def studies_of(rows: Sequence[Mapping[str, Any]]) -> tuple[Study, ...]:
    """Every study, with what is known now.

    Args:
        rows: as from `experiment_rows`; all of them.
    """
    by_name = {row["name"]: row for row in rows}
    studies = []
    for name, settings in _STUDIES.items():
        points = tuple(_point(setting, by_name[f"{_BASE}-{suffix}"]) for setting, suffix in settings)
        studies.append(Study(name, points, _finding(name, points)))
    return tuple(studies)


def _point(setting: str, row: Mapping[str, Any]) -> Point:
    seeds = [one["accuracy"] for one in row["seeds"]]
    return Point(
        setting,
        row["name"],
        row["reported_accuracy"],
        row["achieved_accuracy"],
        min(seeds, default=None),
        max(seeds, default=None),
        row["spread_points"],
    )


def _finding(study: str, points: Sequence[Point]) -> str:
    """Best and worst of the report, and the same two here; and which are best and worst here, once all have run.

    Where one of the two was not run, what the others achieved is stated instead.
    """
    best, worst = (extreme(points, key=lambda p: p.reported) for extreme in (max, min))
    named = {p.setting: _WORDS[study].format(p.setting) for p in points}
    plural = study == "epochs"
    reported = 100 * (best.reported - worst.reported)
    text = (
        f"{named[worst.setting]} {'are' if plural else 'is'} below {named[best.setting]} by {reported:.2f} points in "
        "the report"
    )
    missing = [named[p.setting] for p in points if p.achieved is None]
    not_run = f"; not run here: {', '.join(missing)}" if missing else ""
    if best.achieved is None or worst.achieved is None:
        achieved = ", ".join(f"{named[p.setting]} {_percent(p)}" for p in points if p.achieved is not None)
        here = f"; here: {achieved}" if achieved else ""
        return f"{text[0].upper()}{text[1:]}{here}{not_run}."
    gap = round(100 * (best.achieved - worst.achieved), 2)
    text += f", {'by' if gap >= 0 else 'above by'} {abs(gap):.2f} here"
    spreads = [p.spread_points for p in (best, worst) if p.spread_points is not None]
    if spreads and abs(gap) <= max(spreads):
        text += f", no more than seeds differ ({max(spreads):.2f} points)"
    if not missing and len(points) > 2:
        top, low = (extreme(points, key=lambda p: p.achieved or 0.0) for extreme in (max, min))
        text += f"; best here: {named[top.setting]} ({_percent(top)}), worst: {named[low.setting]} ({_percent(low)})"
    return f"{text[0].upper()}{text[1:]}{not_run}."


def _percent(point: Point) -> str:
    return f"{100 * (point.achieved or 0.0):.2f}%"
