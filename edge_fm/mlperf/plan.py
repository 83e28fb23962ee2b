"""The plan of a LoadGen run: scenarios, settings, and the request that goes to its process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from edge_fm_runtime.engines import EngineOptions
from edge_fm_runtime.errors import MissingDependencyError

Scenario: TypeAlias = Literal["single-stream", "multi-stream", "server", "offline"]
SCENARIOS: tuple[Scenario, ...] = get_args(Scenario)

OFFICIAL_NAMES: dict[Scenario, str] = {
    "single-stream": "SingleStream",
    "multi-stream": "MultiStream",
    "server": "Server",
    "offline": "Offline",
}
"""As LoadGen spells them."""

RUNS_TO_TRY = 3
"""How often at most a run is repeated where a setting of ours made it invalid."""


@dataclass(frozen=True)
class Plan:
    """How to run the scenarios.

    Attributes:
        min_duration_s: least seconds of a performance run; None for the 600 s of MLPerf's rules, with its least number
            of samples offline.
        target_qps: queries a second in the server scenario; None to look for a rate that holds the latency.
        target_latency_ms: bound of the 99th percentile in the server scenario; None for MLPerf's 10 ms.
        batch: images at once offline; None for the size that a short trial finds fastest.
    """

    min_duration_s: float | None = None
    target_qps: float | None = None
    target_latency_ms: float | None = None
    batch: int | None = None

    @property
    def official(self) -> bool:
        """Whether durations and counts are those of MLPerf's rules."""
        return self.min_duration_s is None


@dataclass(frozen=True)
class Request:
    """One scenario of one model, as the process that runs it reads it.

    Attributes:
        scenario: which.
        plan: how.
        path: the artifact.
        engine: name of the engine; references count too.
        options: of the engine.
        images: path of a `.npy` with uint8 `[N,H,W,C]`.
        score: whether to run in accuracy mode after the performance runs.
        folder: where the logs go: `performance/run_N` and `accuracy`, as in a submission to MLPerf.
    """

    scenario: Scenario
    plan: Plan
    path: str
    engine: str
    options: EngineOptions
    images: str
    score: bool
    folder: str

    @staticmethod
    def from_json(values: dict[str, Any]) -> Request:
        """Read what `dataclasses.asdict` gave."""
        plan, options = Plan(**values["plan"]), EngineOptions(**values["options"])
        return Request(**{**values, "plan": plan, "options": options})


def require_loadgen() -> Any:
    """Import LoadGen.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import mlperf_loadgen
    except ImportError as error:
        raise MissingDependencyError.for_extra("mlcommons-loadgen", "mlperf", "--scenario") from error
    return mlperf_loadgen
