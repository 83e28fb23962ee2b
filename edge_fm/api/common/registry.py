"""Every engine that the commands know: the runtime's, and the references of the export side."""

from __future__ import annotations

from edge_fm_export.engines import REFERENCE_ENGINES
from edge_fm_runtime.engines import ENGINES, Registry

ALL_ENGINES: Registry = {**ENGINES, **REFERENCE_ENGINES}
