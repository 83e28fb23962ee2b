"""The drawings of a scaling run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_fm.evaluation.page import heading


def scaling_section(scaling: Mapping[str, Any] | None) -> str:
    """The part of the page about scaling, or nothing."""
    if scaling is None:
        return ""
    return heading("Scaling")
