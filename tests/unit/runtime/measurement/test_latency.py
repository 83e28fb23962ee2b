"""Measurements count every sample and give only the percentiles that the count supports."""

from __future__ import annotations

import time

import numpy as np
import pytest

from edge_fm_runtime.measurement.latency import Latency, measure, rest


def test_percentiles_need_samples_above_them() -> None:
    few = Latency(np.arange(100.0))
    assert few.percentile_ms("p90") == pytest.approx(89.1)
    assert few.percentile_ms("p95") is None
    assert few.percentile_ms("p99") is None
    assert Latency(np.arange(1000.0)).percentile_ms("p99") is not None


@pytest.mark.parametrize(("spinning_s", "rested_s"), [(0.0, 0.002), (0.06, 0.062), (9.0, 0.25)])
def test_rest_waits_for_threads_that_still_spin(
    spinning_s: float, rested_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A clock of its own: on a busy machine a thread that spins may not get the CPU for a while.
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr("edge_fm_runtime.measurement.latency.sleep", sleep)
    monkeypatch.setattr("edge_fm_runtime.measurement.latency.perf_counter", lambda: now)
    monkeypatch.setattr("edge_fm_runtime.measurement.latency.process_time", lambda: min(now, spinning_s))
    rest()
    assert now == pytest.approx(rested_s, abs=0.0021)


def test_every_case_gets_its_samples_and_the_collector_its_state_back() -> None:
    import gc

    calls = {"a": 0, "b": 0}

    def count(name: str) -> None:
        calls[name] += 1
        assert not gc.isenabled()

    rounds: list[tuple[int, int]] = []
    result = measure(
        {"a": lambda: count("a"), "b": lambda: count("b")},
        duration_s=0.02,
        min_samples=50,
        on_round=lambda done, total: rounds.append((done, total)),
    )
    assert gc.isenabled()
    for name, latency in result.items():
        assert 50 <= latency.n < calls[name]
        assert latency.p50_ms > 0
        assert set(latency.rounds.tolist()) == set(range(rounds[-1][1]))  # every case ran in every round
    assert rounds[-1][0] == rounds[-1][1]


def test_warm_up_goes_on_until_calls_are_steady() -> None:
    calls = 0

    def faster_and_faster() -> None:
        nonlocal calls
        calls += 1
        time.sleep(max(0.002, 0.02 - 0.001 * calls))

    latency = measure({"case": faster_and_faster}, duration_s=0.5, min_samples=1)["case"]
    assert latency.warm_up_calls >= 9  # three windows of three calls at least


def test_a_call_slower_than_the_duration_is_still_counted_in_every_round() -> None:
    latency = measure({"slow": lambda: time.sleep(0.005)}, duration_s=0.01, min_samples=1)["slow"]
    assert latency.n == len(set(latency.rounds.tolist())) >= 20
