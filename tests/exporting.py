"""An export that raises where an artifact was not written."""

from __future__ import annotations

from typing import Any

from edge_fm_export.pipeline import export_targets
from edge_fm_export.results import ExportReport


def export(*arguments: Any, **options: Any) -> ExportReport:
    """Export as `export_targets` does, whose arguments these are.

    Raises:
        GateError: an artifact failed its gate.
        EdgeFMError: one could not be built.
    """
    report = export_targets(*arguments, **options)
    report.require_all()
    return report
