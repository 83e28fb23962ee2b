"""The score below which a classifier gives no label."""

from __future__ import annotations

from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.errors import ArtifactError, EngineError

AUTO = "auto"
_HOW = (
    "Give a number from 0 to 1 (--min-score 0.5), or export again with validation images: edgefm export RUN, or "
    "edgefm export MODEL.keras --validation SOURCE"
)


def resolve_min_score(artifact: Artifact, wanted: float | str) -> float:
    """The least score that gets a label.

    Args:
        artifact: what classifies.
        wanted: a score from 0 to 1, or "auto" for the threshold that the artifact records.

    Raises:
        EngineError: `wanted` is neither.
        ArtifactError: "auto", and the artifact records no threshold.
    """
    if artifact.metadata.task is not None:
        raise EngineError(
            f"{artifact.path} is a multi-label model: each label has a threshold of its own, and no photo is rejected.",
            hint="Leave the least score (--min-score) out.",
        )
    if wanted == AUTO:
        return _recorded(artifact)
    if isinstance(wanted, bool) or not isinstance(wanted, int | float) or not 0 <= wanted <= 1:
        raise EngineError(
            f"The least score is {wanted!r}; supported: a number from 0 to 1, or {AUTO!r}.",
            hint="Such as 0.5; the best score of a photo is the probability of its most probable class.",
        )
    return float(wanted)


def _recorded(artifact: Artifact) -> float:
    rejection = (artifact.metadata.scores or {}).get("rejection")
    if rejection is None:
        raise ArtifactError(f"{artifact.path} records no threshold for scores, which {AUTO!r} needs.", hint=_HOW)
    threshold = rejection.get("threshold")
    if threshold is None:
        reason = rejection.get("reason") or "no threshold was found"
        raise ArtifactError(
            f"{artifact.path} records that {AUTO!r} has no threshold: {reason}",
            hint="Give a number from 0 to 1: --min-score 0.5",
        )
    return float(threshold)
