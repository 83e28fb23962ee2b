"""Compare the predictions of an artifact with the original's, whatever its task."""

from __future__ import annotations

from edge_fm_runtime.artifacts.metadata import Metadata
from edge_fm_runtime.parity.comparison import FloatArray, IntArray, Parity, compare_probabilities


def compare_predictions(
    metadata: Metadata, reference: FloatArray, candidate: FloatArray, *, labels: IntArray | None = None
) -> Parity:
    """Compare predictions of an artifact as its task says; see `compare_probabilities` and `compare_multi_label`.

    Args:
        metadata: of the artifact.
        reference: `[N, classes]` probabilities of the original.
        candidate: `[N, classes]` probabilities of the exported model.
        labels: true classes `[N]`, of a multi-label model 0 or 1 for each label `[N, labels]`; None where unknown.
    """
    if metadata.task is None:
        return compare_probabilities(reference, candidate, labels=labels, label_names=metadata.labels)
    from edge_fm_runtime.multi_label import label_thresholds
    from edge_fm_runtime.parity.multi_label import compare_multi_label

    return compare_multi_label(reference, candidate, label_thresholds(metadata), metadata.labels, truth=labels)
