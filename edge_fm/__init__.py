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
    from edge_fm.api.artifacts.classify_files import ClassifiedFiles, classify_to_files
    from edge_fm.api.artifacts.drift import DriftResult, drift
    from edge_fm.api.artifacts.model_repository import write_model_repository
    from edge_fm.api.artifacts.serve import serve
    from edge_fm.api.artifacts.sign import SignResult, sign
    from edge_fm.api.artifacts.similar import SimilarPhoto, SimilarResult, similar
    from edge_fm.api.artifacts.video import classify_video
    from edge_fm.api.autotune import AutotuneResult, autotune
    from edge_fm.api.benchmark import BenchmarkResult, benchmark
    from edge_fm.api.classify import classify
    from edge_fm.api.common.export_options import ExportOptions
    from edge_fm.api.datasets import ContactSheet, DataDescription, FetchedData, describe_data, draw_data, fetch_data
    from edge_fm.api.doctor import MachineReport, examine_machine
    from edge_fm.api.evaluate import EvaluationResult, evaluate
    from edge_fm.api.experiments import ClassPairs, ExperimentsResult, pair_classes, run_experiments
    from edge_fm.api.export import ExportPlan, export, plan_export
    from edge_fm.api.loadgen import ScenariosResult, benchmark_scenarios
    from edge_fm.api.models import ModelList, list_models, plot_models
    from edge_fm.api.quickstart import QuickstartResult, quickstart
    from edge_fm.api.report import BenchmarkPage, benchmark_report
    from edge_fm.api.studies.crossval import crossval
    from edge_fm.api.studies.search import SearchReport, search
    from edge_fm.api.studies.sweep import SweepResult, sweep
    from edge_fm.api.train import PreparedTraining, TrainOptions, prepare_training, train, train_prepared
    from edge_fm.api.verify import verify
    from edge_fm.serving.options import ModelSource, ServeOptions
    from edge_fm.serving.server import Serving
    from edge_fm.training.run.results import RunResult
    from edge_fm_export.model_repositories.writer import RepositoryVersion
    from edge_fm_export.results import ExportReport
    from edge_fm_runtime.classification import Classification, Failure
    from edge_fm_runtime.classifier import Classifier
    from edge_fm_runtime.drift.comparison import DriftTest
    from edge_fm_runtime.errors import EdgeFMError
    from edge_fm_runtime.parity.verification import Verification
    from edge_fm_runtime.signatures.requirement import required_signature
    from edge_fm_runtime.streams.frames import FrameResult
    from edge_fm_runtime.streams.vote import Vote

_HOMES = {
    "AutotuneResult": "edge_fm.api.autotune",
    "BenchmarkPage": "edge_fm.api.report",
    "BenchmarkResult": "edge_fm.api.benchmark",
    "ClassPairs": "edge_fm.api.experiments",
    "Classification": "edge_fm_runtime.classification",
    "ClassifiedFiles": "edge_fm.api.artifacts.classify_files",
    "Classifier": "edge_fm_runtime.classifier",
    "ContactSheet": "edge_fm.api.datasets",
    "DataDescription": "edge_fm.api.datasets",
    "DriftResult": "edge_fm.api.artifacts.drift",
    "DriftTest": "edge_fm_runtime.drift.comparison",
    "EdgeFMError": "edge_fm_runtime.errors",
    "EvaluationResult": "edge_fm.api.evaluate",
    "ExperimentsResult": "edge_fm.api.experiments",
    "ExportOptions": "edge_fm.api.common.export_options",
    "ExportPlan": "edge_fm.api.export",
    "ExportReport": "edge_fm_export.results",
    "Failure": "edge_fm_runtime.classification",
    "FetchedData": "edge_fm.api.datasets",
    "FrameResult": "edge_fm_runtime.streams.frames",
    "MachineReport": "edge_fm.api.doctor",
    "ModelList": "edge_fm.api.models",
    "ModelSource": "edge_fm.serving.options",
    "PreparedTraining": "edge_fm.api.train",
    "QuickstartResult": "edge_fm.api.quickstart",
    "RepositoryVersion": "edge_fm_export.model_repositories.writer",
    "RunResult": "edge_fm.training.run.results",
    "ScenariosResult": "edge_fm.api.loadgen",
    "SearchReport": "edge_fm.api.studies.search",
    "ServeOptions": "edge_fm.serving.options",
    "Serving": "edge_fm.serving.server",
    "SignResult": "edge_fm.api.artifacts.sign",
    "SimilarPhoto": "edge_fm.api.artifacts.similar",
    "SimilarResult": "edge_fm.api.artifacts.similar",
    "SweepResult": "edge_fm.api.studies.sweep",
    "TrainOptions": "edge_fm.api.train",
    "Verification": "edge_fm_runtime.parity.verification",
    "Vote": "edge_fm_runtime.streams.vote",
    "autotune": "edge_fm.api.autotune",
    "benchmark": "edge_fm.api.benchmark",
    "benchmark_report": "edge_fm.api.report",
    "benchmark_scenarios": "edge_fm.api.loadgen",
    "classify": "edge_fm.api.classify",
    "classify_to_files": "edge_fm.api.artifacts.classify_files",
    "classify_video": "edge_fm.api.artifacts.video",
    "crossval": "edge_fm.api.studies.crossval",
    "describe_data": "edge_fm.api.datasets",
    "draw_data": "edge_fm.api.datasets",
    "drift": "edge_fm.api.artifacts.drift",
    "evaluate": "edge_fm.api.evaluate",
    "examine_machine": "edge_fm.api.doctor",
    "export": "edge_fm.api.export",
    "fetch_data": "edge_fm.api.datasets",
    "list_models": "edge_fm.api.models",
    "pair_classes": "edge_fm.api.experiments",
    "plan_export": "edge_fm.api.export",
    "plot_models": "edge_fm.api.models",
    "prepare_training": "edge_fm.api.train",
    "quickstart": "edge_fm.api.quickstart",
    "required_signature": "edge_fm_runtime.signatures.requirement",
    "run_experiments": "edge_fm.api.experiments",
    "search": "edge_fm.api.studies.search",
    "serve": "edge_fm.api.artifacts.serve",
    "sign": "edge_fm.api.artifacts.sign",
    "similar": "edge_fm.api.artifacts.similar",
    "sweep": "edge_fm.api.studies.sweep",
    "train": "edge_fm.api.train",
    "train_prepared": "edge_fm.api.train",
    "verify": "edge_fm.api.verify",
    "write_model_repository": "edge_fm.api.artifacts.model_repository",
}

__all__ = [
    "AutotuneResult",
    "BenchmarkPage",
    "BenchmarkResult",
    "ClassPairs",
    "Classification",
    "ClassifiedFiles",
    "Classifier",
    "ContactSheet",
    "DataDescription",
    "DriftResult",
    "DriftTest",
    "EdgeFMError",
    "EvaluationResult",
    "ExperimentsResult",
    "ExportOptions",
    "ExportPlan",
    "ExportReport",
    "Failure",
    "FetchedData",
    "FrameResult",
    "MachineReport",
    "ModelList",
    "ModelSource",
    "PreparedTraining",
    "QuickstartResult",
    "RepositoryVersion",
    "RunResult",
    "ScenariosResult",
    "SearchReport",
    "ServeOptions",
    "Serving",
    "SignResult",
    "SimilarPhoto",
    "SimilarResult",
    "SweepResult",
    "TrainOptions",
    "Verification",
    "Vote",
    "__version__",
    "autotune",
    "benchmark",
    "benchmark_report",
    "benchmark_scenarios",
    "classify",
    "classify_to_files",
    "classify_video",
    "crossval",
    "describe_data",
    "draw_data",
    "drift",
    "evaluate",
    "examine_machine",
    "export",
    "fetch_data",
    "list_models",
    "pair_classes",
    "plan_export",
    "plot_models",
    "prepare_training",
    "quickstart",
    "required_signature",
    "run_experiments",
    "search",
    "serve",
    "sign",
    "similar",
    "sweep",
    "train",
    "train_prepared",
    "verify",
    "write_model_repository",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import edge_fm` costs nothing else."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
