"""Ours beside the bare library, alternating in the same run: the only figure that may be compared between machines."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from edge_fm.evaluation.benchmark.statistics import median_ratio
from edge_fm_runtime.measurement.latency import Latency, measure


def quick(ours: Callable[[], object], bare: Callable[[], object], what: str, *, seconds: float = 0.4) -> dict[str, Any]:
    """For calls that take milliseconds: many short rounds.

    Args:
        ours: a call without arguments.
        bare: the same through the library alone.
        what: the library and what it was asked.
        seconds: of each.
    """
    got = measure({"ours": ours, "bare": bare}, duration_s=seconds)
    return _told(got["ours"], got["bare"], what)


def slow(ours: Callable[[], object], bare: Callable[[], object], what: str, *, rounds: int) -> dict[str, Any]:
    """For calls that take a second: one of each in every round, the order turning; the first round is not counted."""
    taken: dict[str, list[float]] = {"ours": [], "bare": []}
    turns: list[tuple[str, Callable[[], object]]] = [("ours", ours), ("bare", bare)]
    for number in range(rounds + 1):
        for name, call in turns:
            start = perf_counter()
            call()
            if number:
                taken[name].append(1e3 * (perf_counter() - start))
        turns.reverse()
    numbers = np.arange(rounds)
    return _told(Latency(np.array(taken["ours"]), numbers), Latency(np.array(taken["bare"]), numbers), what)


def _told(ours: Latency, bare: Latency, what: str) -> dict[str, Any]:
    ratio = median_ratio(ours, bare)
    return {"what": what, "ratio": ratio.value, "ci95": ratio.to_json(), "ours_ms": ours.p50_ms, "bare_ms": bare.p50_ms}
