"""Tiny models and the artifacts made of them, made once for the whole session."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from tiny_models import TINY_SHAPES, TinyRun, make_run, tiny_set

if TYPE_CHECKING:
    from edge_fm_export.context import SourceModel
    from edge_fm_export.pipeline import ExportResult
    from edge_fm_export.targets import Target


def pytest_configure(config: pytest.Config) -> None:
    """Filter the one warning that Keras raises wherever it turns a TensorFlow variable into an array.

    TensorFlow's `EagerTensor.__array__` does not know NumPy 2's `copy` keyword yet; neither is ours to mend.
    """
    config.addinivalue_line(
        "filterwarnings", "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
    )


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
    from edge_fm_export.pipeline import export

    root = tmp_path_factory.mktemp("exported")
    made: dict[tuple[str, Target], ExportResult] = {}

    def get(kind: str, target: Target) -> ExportResult:
        if (kind, target) not in made:
            shape = TINY_SHAPES[kind]
            report = export(
                tiny_sources[kind],
                [target],
                root / kind,
                test=tiny_set(shape, 200, seed=2),
                calibration=tiny_set(shape, 100, seed=3),
                validation=tiny_set(shape, 100, seed=4),
            )
            made[kind, target] = report.results[0]
        return made[kind, target]

    return get
