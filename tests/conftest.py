"""Tiny models and the artifacts made of them, made once for the whole session."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fork_server import fork_server
from optional_packages import absent_package
from returned_memory import return_freed_memory
from tiny_models import TINY_SHAPES, TinyRun, make_run, tiny_set

from edge_fm_runtime.system.garbage_collection import set_own_process

if TYPE_CHECKING:
    from edge_fm_export.context import SourceModel
    from edge_fm_export.results import ExportResult
    from edge_fm_export.targets import Target


def pytest_configure(config: pytest.Config) -> None:
    """Filter the one warning that Keras raises wherever it turns a TensorFlow variable into an array.

    TensorFlow's `EagerTensor.__array__` does not know NumPy 2's `copy` keyword yet; neither is ours to mend.
    """
    config.addinivalue_line(
        "filterwarnings", "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
    )
    set_own_process()  # collections through all that TensorFlow defines would take a sixth of the tests' time


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first: of several processes, none then has a long file left when the others end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Leave the tests themselves, some hundred thousand objects, out of garbage collections."""
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `needs("package", ...)` where one of them is not installed."""
    for marker in item.iter_markers("needs"):
        missing = [package for package in marker.args if find_spec(package) is None]
        if missing:
            pytest.skip(f"needs {', '.join(missing)}, which is not installed")


def pytest_runtest_logfinish() -> None:
    """Hand back what a test has freed."""
    return_freed_memory()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skip a file of tests that needs a package which a base install lacks."""
    report = yield
    call = getattr(report, "call", None)
    if call is not None and call.excinfo is not None and (package := absent_package(call.excinfo.value)):
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 0, f"Skipped: needs {package}, which is not installed")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skip a test that stopped at the import of a package which a base install lacks."""
    report = yield
    if call.excinfo is not None and (package := absent_package(call.excinfo.value)):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), 0, f"Skipped: needs {package}, which is not installed")
    return report


@pytest.fixture(scope="session")
def preloaded() -> Generator[Path]:
    """A folder with programs `edgefm` and `python` that start with TensorFlow imported."""
    with fork_server() as programs:
        yield programs


@pytest.fixture(scope="session")
def tiny_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TinyRun]:
    """Run folders "grey" (28x28x1) and "colour" (12x10x3)."""
    root = tmp_path_factory.mktemp("runs")
    return {kind: make_run(root / kind, kind) for kind in TINY_SHAPES}


@pytest.fixture(scope="session")
def tiny_sources(tiny_runs: dict[str, TinyRun]) -> dict[str, SourceModel]:
    """The runs, opened for export."""
    from edge_fm_export.sources import load_source

    return {kind: load_source(run.folder) for kind, run in tiny_runs.items()}


Exported = Callable[[str, "Target"], "ExportResult"]


@pytest.fixture(scope="session")
def exported(tiny_sources: dict[str, SourceModel], tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Call with ("grey" | "colour", target) for the artifact; each is made when it is first asked for."""
    return _exporter(tiny_sources, tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="session")
def exported_with_outputs(tiny_sources: dict[str, SourceModel], tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """As `exported`, but the artifacts return embeddings beside the probabilities."""
    from edge_fm_export.outputs.extra import extra_outputs

    # The tiny models flatten their feature map, so they have no class activation maps.
    sources = {kind: replace(s, extra=extra_outputs(s.model, ["embedding"])) for kind, s in tiny_sources.items()}
    return _exporter(sources, tmp_path_factory.mktemp("exported-with-outputs"))


def _exporter(sources: dict[str, SourceModel], root: Path) -> Exported:
    from exporting import export

    made: dict[tuple[str, Target], ExportResult] = {}

    def get(kind: str, target: Target) -> ExportResult:
        if (kind, target) not in made:
            shape = TINY_SHAPES[kind]
            report = export(
                sources[kind],
                [target],
                root / kind,
                test=tiny_set(shape, 200, seed=2),
                calibration=tiny_set(shape, 100, seed=3),
                validation=tiny_set(shape, 100, seed=4),
                held_out=None if sources[kind].extra is None else tiny_set(shape, 600, seed=5),
            )
            made[kind, target] = report.results[0]
        return made[kind, target]

    return get
