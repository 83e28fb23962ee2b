"""Multi-label artifacts: from which score on a label applies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_fm_runtime.artifacts.metadata import Metadata

DEFAULT_THRESHOLD = 0.5
"""Of a label whose threshold was not fitted."""


def label_thresholds(metadata: Metadata) -> tuple[float, ...]:
    """The threshold of each label of a multi-label artifact: a label applies where its score is at least that.

    Args:
        metadata: of the artifact; where it records no thresholds, each is 0.5.

    Returns:
        a number from 0 to 1 for each label, in their order.
    """
    recorded = ((metadata.scores or {}).get("label_thresholds") or {}).get("values")
    values: Sequence[float] = recorded or [DEFAULT_THRESHOLD] * len(metadata.labels)
    return tuple(float(value) for value in values)
