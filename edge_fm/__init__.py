"""EdgeFM: image classifiers from Keras to a device, with proof.

Example:
    >>> import edge_fm
    >>> edge_fm.verify("edgenet-s-onnx-int8").passed  # doctest: +SKIP
    True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edge_fm_runtime import __version__

if TYPE_CHECKING:
    from edge_fm.api.benchmark import BenchmarkResult, benchmark
    from edge_fm.api.evaluate import EvaluationResult, evaluate
    from edge_fm.api.export import ExportOptions, ExportPlan, export, plan_export
    from edge_fm.api.loadgen import ScenariosResult, benchmark_scenarios
    from edge_fm.api.verify import verify
    from edge_fm_export.results import ExportReport
    from edge_fm_runtime.classifier import Classification, Classifier, Failure
    from edge_fm_runtime.errors import EdgeFMError
    from edge_fm_runtime.verification import Verification

_HOMES = {
    "BenchmarkResult": "edge_fm.api.benchmark",
    "Classification": "edge_fm_runtime.classifier",
    "Classifier": "edge_fm_runtime.classifier",
    "EdgeFMError": "edge_fm_runtime.errors",
    "EvaluationResult": "edge_fm.api.evaluate",
    "ExportOptions": "edge_fm.api.export",
    "ExportPlan": "edge_fm.api.export",
    "ExportReport": "edge_fm_export.results",
    "Failure": "edge_fm_runtime.classifier",
    "ScenariosResult": "edge_fm.api.loadgen",
    "Verification": "edge_fm_runtime.verification",
    "benchmark": "edge_fm.api.benchmark",
    "benchmark_scenarios": "edge_fm.api.loadgen",
    "evaluate": "edge_fm.api.evaluate",
    "export": "edge_fm.api.export",
    "plan_export": "edge_fm.api.export",
    "verify": "edge_fm.api.verify",
}

__all__ = [
    "BenchmarkResult",
    "Classification",
    "Classifier",
    "EdgeFMError",
    "EvaluationResult",
    "ExportOptions",
    "ExportPlan",
    "ExportReport",
    "Failure",
    "ScenariosResult",
    "Verification",
    "__version__",
    "benchmark",
    "benchmark_scenarios",
    "evaluate",
    "export",
    "plan_export",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import edge_fm` costs nothing else."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
