"""LoadGen's settings of a run: MLPerf's rules, and our choices where they leave one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_fm.mlperf.logs import LoadGenVerdict
from edge_fm.mlperf.plan import OFFICIAL_NAMES, Plan, Scenario
from edge_fm_runtime.errors import EngineError

OFFLINE_SAMPLES = 24_576
"""MLPerf's least number of samples offline; a smaller data set is read once."""
_SERVER_QUERIES = 800
"""At the 99th percentile early stopping wants 459 queries, 662 with one too late, and more with more."""
OFFLINE_RESERVE = 1.3
"""More samples are prepared than the least duration takes, in case the run goes faster than the trial."""
_LENIENT = 1.4
"""Of the usual latency: LoadGen prepares twice as many queries as it asks for, and each takes memory."""
_BYTES_A_QUERY = 400
"""What LoadGen holds for each query of a stream that it prepares; measured: 340."""
_SLACK = 2.0
_BUNDLED_RULES = 0


def base_settings(loadgen: Any, scenario: Scenario, plan: Plan, *, total: int) -> Any:
    """The settings of MLPerf's `mlperf.conf` for any model, which LoadGen carries in itself, shortened on request.

    Args:
        loadgen: the module.
        scenario: which.
        plan: durations and bounds.
        total: images in the library.

    Raises:
        EngineError: this LoadGen does not carry its rules.
    """
    settings = loadgen.TestSettings()
    name = OFFICIAL_NAMES[scenario]
    if settings.FromConfig("", "edgefm", name, _BUNDLED_RULES) != 0:
        raise EngineError("This LoadGen has no mlperf.conf in it.", hint="pip install 'mlcommons-loadgen>=5.0'")
    settings.scenario = getattr(loadgen.TestScenario, name)
    if plan.min_duration_s is not None:
        settings.min_duration_ms = max(1, round(1000 * plan.min_duration_s))
    elif scenario == "offline":
        settings.min_query_count = min(total, OFFLINE_SAMPLES)
    if scenario == "server":
        settings.min_query_count = max(settings.min_query_count, _SERVER_QUERIES)
        if plan.target_latency_ms is not None:
            settings.server_target_latency_ns = round(1e6 * plan.target_latency_ms)
    return settings


def expect(settings: Any, *, query_s: float, samples_per_s: float) -> None:
    """Tell LoadGen how fast we are, so that it prepares enough queries; its verdict does not depend on this.

    Args:
        settings: changed.
        query_s: the usual latency of a query, seconds; streams.
        samples_per_s: offline.
    """
    settings.single_stream_expected_latency_ns = round(1e9 * _LENIENT * query_s)
    settings.multi_stream_expected_latency_ns = round(1e9 * _LENIENT * query_s)
    settings.offline_expected_qps = samples_per_s


def adjust(settings: Any, scenario: Scenario, verdict: LoadGenVerdict, *, rate_is_ours: bool) -> bool:
    """After an invalid run, adjust what was ours to set.

    Args:
        settings: changed.
        scenario: which.
        verdict: of the run.
        rate_is_ours: whether the server's rate is ours to set.

    Returns:
        whether another run may end otherwise.
    """
    figures = verdict.figures
    if scenario == "server":
        settings.server_target_qps *= 0.6
        return rate_is_ours
    if figures.get("min_duration_met"):
        return False
    if scenario == "offline":
        settings.offline_expected_qps = OFFLINE_RESERVE * float(figures["samples_per_second"])
    else:
        usual_s = verdict.percentile_ms("50.00") / 1e3
        expect(settings, query_s=usual_s / _LENIENT, samples_per_s=settings.offline_expected_qps)
    return True


def require_memory(settings: Any, scenario: Scenario) -> None:
    """Refuse a stream whose prepared queries would not fit into memory.

    Raises:
        EngineError: it would not.
    """
    if scenario not in ("single-stream", "multi-stream"):
        return
    stream = scenario.replace("-", "_")
    query_ns = getattr(settings, f"{stream}_expected_latency_ns")
    samples = settings.multi_stream_samples_per_query if scenario == "multi-stream" else 1
    needed = _SLACK * settings.min_duration_ms * 1e6 / query_ns * _BYTES_A_QUERY * (1 + (samples - 1) / 2)
    free = _available_bytes()
    if free is not None and needed > free:
        raise EngineError(
            f"LoadGen prepares all queries beforehand; {settings.min_duration_ms / 1000:g} s at "
            f"{query_ns / 1e6:.3g} ms each need about {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} are free.",
            hint="Ask for a shorter run: --duration",
        )


def _available_bytes() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:  # not Linux: then we do not know
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else None
