"""An export that raises where an artifact was not written, and what tests of every format export."""

from __future__ import annotations

from typing import Any

from web_pages import STAND_IN

from edge_fm_export.pipeline import export_targets
from edge_fm_export.results import ExportReport
from edge_fm_export.targets import BUILDERS

TARGETS = tuple(t for t in BUILDERS if t.format != "web" or t.precision == "fp32")
"""Every format; of web one precision, as its models are those of the ONNX exporter."""


def export(*arguments: Any, **options: Any) -> ExportReport:
    """Export as `export_targets` does, whose arguments these are; pages get a stand-in for ONNX Runtime Web.

    Raises:
        GateError: an artifact failed its gate.
        EdgeFMError: one could not be built.
    """
    report = export_targets(*arguments, **{"web_runtime": STAND_IN, **options})
    report.require_all()
    return report
