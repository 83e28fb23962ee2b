"""Which artifact to take, by a stated rule: the fastest of those that lost almost nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_fm_runtime.defaults import MAX_DROP_POINTS

SAME_SPEED = 1.05
RULE = (
    f"The rule: of the artifacts that lost at most {MAX_DROP_POINTS:g} points of accuracy at export, the one with "
    f"the lowest median latency of a call; of those within {100 * (SAME_SPEED - 1):.0f}% of it, those within "
    f"{100 * (SAME_SPEED - 1):.0f}% of the fastest from photo to class, where that was measured; of these, the "
    "smallest on disk. Without labels, predictions that differ from the original's count as lost."
)


@dataclass(frozen=True)
class Recommendation:
    """One artifact and why.

    Attributes:
        model: its name; None where none can be recommended.
        engine: that runs it.
        sentence: for a person.
    """

    model: str | None
    engine: str | None
    sentence: str


def drop_of(row: Mapping[str, Any]) -> float | None:
    """Accuracy lost at export in points; without labels, the share of predictions that changed; None where unknown."""
    if row.get("drop_points") is not None:
        return float(row["drop_points"])
    if row.get("top1_agreement") is not None:
        return 100.0 * (1.0 - float(row["top1_agreement"]))
    return None


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Numbers of the points that no other beats in both: (cost, value), cheapest first.

    Example:
        >>> pareto_front([(1.0, 0.8), (2.0, 0.7), (3.0, 0.9), (1.0, 0.6)])
        [0, 2]
    """
    front: list[int] = []
    best = float("-inf")
    for i in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        if points[i][1] > best:
            front.append(i)
            best = points[i][1]
    return front


def recommend(report: Mapping[str, Any]) -> Recommendation:
    """Apply `RULE` to what `edgefm benchmark --json` prints, at the least batch size that was measured."""
    artifacts = [row for row in report["rows"] if row["kind"] == "artifact"]
    least = min((row["batch"] for row in artifacts), default=1)
    artifacts = [row for row in artifacts if row["batch"] == least]
    accurate = [row for row in artifacts if (drop := drop_of(row)) is not None and drop <= MAX_DROP_POINTS]
    if not accurate:
        if not artifacts:
            return Recommendation(None, None, "No artifact was measured, so none can be recommended.")
        return Recommendation(
            None,
            None,
            f"None of the {len(artifacts)} artifacts has a recorded accuracy drop of at most {MAX_DROP_POINTS:g} "
            "points, so none is recommended: export again with --accuracy-control, or take fp32.",
        )
    fastest = min(row["p50_ms"] for row in accurate)
    near = [row for row in accurate if row["p50_ms"] <= SAME_SPEED * fastest]
    photos = [row["photo_p50_ms"] for row in near if row.get("photo_p50_ms") is not None]
    if len(photos) == len(near):
        near = [row for row in near if row["photo_p50_ms"] <= SAME_SPEED * min(photos)]
    best = min(near, key=lambda row: (row.get("bytes") or float("inf"), row["p50_ms"]))
    provisional = "" if report["verdict"] == "VALID" else " This run is INVALID: measure again before you rely on it."
    return Recommendation(best["model"], best["engine"], f"{_sentence(best, report)}{provisional}")


def _sentence(best: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    threads = f"{best['threads']} {'thread' if best['threads'] == 1 else 'threads'}"
    parts = [f"{best['p50_ms']:.3g} ms a call (p50, batch {best['batch']}, {threads})"]
    if best.get("photo_p50_ms") is not None:
        parts.append(f"{best['photo_p50_ms']:.3g} ms from photo to class")
    ratios = [
        r for r in report["ratios"] if r["to"] == best["model"] and r["batch"] == best["batch"] and "predict" in r["of"]
    ]
    if ratios:
        parts.append(f"{ratios[0]['p50_ratio']:,.0f} times faster than Keras predict")
    lost = drop_of(best)
    if best.get("accuracy") is not None:
        parts.append(f"{100 * best['accuracy']:.2f}% accurate ({_lost(lost, best.get('drop_ci95'))})")
    elif lost is not None:
        parts.append(f"{100 - lost:.2f}% of the original's predictions")
    if best.get("bytes"):
        parts.append(f"{best['bytes'] / 1024:,.0f} KiB")
    return f"Take {best['model']} on {best['engine']}: {', '.join(parts)}."


def _lost(points: float | None, interval: Sequence[float] | None) -> str:
    if points is None:
        return "drop unknown"
    text = f"{points:.2f} points lost" if points >= 0 else f"{-points:.2f} points gained"
    return text + (f", 95% interval of the loss {interval[0]:+.2f} to {interval[1]:+.2f}" if interval else "")
