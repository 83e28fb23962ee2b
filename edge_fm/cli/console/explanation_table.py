"""What `edgefm export --explain` prints: the layers with the largest errors, and the model with some in float."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_fm.cli.console.console import print_line, print_table

if TYPE_CHECKING:
    from edge_fm_export.quantization.explanation.explanation import Explanation


def print_explanation(name: str, explanation: Explanation) -> None:
    """Print one explanation: the ten worst layers, the trials, the advice.

    Args:
        name: of the artifact.
        explanation: of its quantization.
    """
    from edge_fm_export.quantization.explanation.tables import (
        TRIAL_COLUMNS,
        WORST_SHOWN,
        columns_of,
        layer_rows,
        trial_rows,
    )

    count = len(explanation.layers)
    shown = min(count, WORST_SHOWN)
    columns = columns_of(explanation)
    print_table(
        f"{name}: error of each layer alone at int8, the {shown} largest of {count}",
        columns,
        layer_rows(explanation, columns)[:WORST_SHOWN],
        right=range(1, len(columns)),
        optional=["weight range", "output range", "weights %", "output %", "share %"],
    )
    print_table(
        f"{name}: with the worst layers in float, on {explanation.images:,} images {explanation.image_set}",
        TRIAL_COLUMNS,
        trial_rows(explanation),
        right=range(1, len(TRIAL_COLUMNS)),
    )
    print_line(" ".join(filter(None, (f"{name}:", explanation.cause, explanation.advice))))
