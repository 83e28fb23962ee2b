"""Is a model the one that an artifact was exported from? A file that was saved again is; another model is not."""

from __future__ import annotations

from edge_fm_export.context import SourceModel
from edge_fm_export.gate.reference import reference_predictions
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.artifacts.golden import GOLDEN_FILE, golden_of
from edge_fm_runtime.artifacts.metadata import Precision
from edge_fm_runtime.parity.checks import Check, check_agreement
from edge_fm_runtime.parity.comparison import Parity, compare_probabilities

SAME_MODEL = "max_abs_diff_to_exported_model"
_TO_OTHER = "_to_other_model"
SAME_CHECKS = (SAME_MODEL, _TO_OTHER)
"""How the names of the checks end that tell whether two models are one."""

_MAX_ABS_DIFF = 1e-3
"""How far the probabilities of one model differ from machine to machine, at most."""
_AGREEMENT: dict[Precision, float] = {"fp32": 0.9999, "fp16": 0.999, "int8": 0.95, "w8a16": 0.95}


def check_same_original(artifact: Artifact, source: SourceModel, parity: Parity) -> Check | None:
    """Compare a model whose file is not the one that an artifact was exported from.

    The original's predictions for the golden inputs travel with the artifact; the same model repeats them. Where they
    are missing, the artifact and the model must agree as closely as an artifact and its original do.

    Args:
        artifact: to be verified.
        source: the model to compare it with.
        parity: of the two, on the test images.

    Returns:
        The check; None where the file is the very one.
    """
    if (artifact.metadata.source or {}).get("sha256") in (None, source.sha256):
        return None
    if artifact.bare or GOLDEN_FILE not in artifact.metadata.files:
        return check_agreement(parity, _AGREEMENT[artifact.metadata.precision], name=_TO_OTHER)
    golden = golden_of(artifact)
    difference = compare_probabilities(golden.reference, reference_predictions(source, golden.images)).max_abs_diff
    return Check(SAME_MODEL, difference, _MAX_ABS_DIFF, difference <= _MAX_ABS_DIFF)
