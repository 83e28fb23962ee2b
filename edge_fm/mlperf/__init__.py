"""MLPerf Inference's LoadGen over our engines: its scenarios, its logs, its verdicts."""

from edge_fm.mlperf.plan import OFFICIAL_NAMES, SCENARIOS, Plan, Scenario
from edge_fm.mlperf.run import ScenarioResult, Subject, loadgen_version, run_scenarios

__all__ = [
    "OFFICIAL_NAMES",
    "SCENARIOS",
    "Plan",
    "Scenario",
    "ScenarioResult",
    "Subject",
    "loadgen_version",
    "run_scenarios",
]
