"""An explanation as rows of text, for the terminal and the page."""

from __future__ import annotations

from collections.abc import Sequence

from edge_fm_export.quantization.explanation.explanation import Explanation, LayerError

WORST_SHOWN = 10
"""Layers in the terminal; the page and the JSON have all."""
LAYER_COLUMNS = (
    "layer", "error %", "share %", "weights %", "output %", "equalized %", "outlier channel", "weight range",
    "output range",
)  # fmt: skip
"""Error: mean total variation distance of the probabilities, in percent; of the layer, its weights and its output
alone, and after equalization. Then the channel that decides the output's range, and how many
times larger than the median channel it is; and the ranges of weights and output."""
TRIAL_COLUMNS = ("layers in float", "drop", "bytes", "batch 1 ms", "enough")


def columns_of(explanation: Explanation) -> list[str]:
    """The columns that `explanation` has values for."""
    equalized = any(layer.error_after is not None for layer in explanation.layers)
    return [column for column in LAYER_COLUMNS if equalized or column != "equalized %"]


def layer_rows(explanation: Explanation, columns: Sequence[str]) -> list[list[str]]:
    """The layers, the largest error first, with these columns."""
    return [[cells[column] for column in columns] for cells in map(_cells, explanation.layers)]


def trial_rows(explanation: Explanation) -> list[list[str]]:
    """The trials: how many of the worst layers are in float, beside those requested, and what that brings."""
    return [
        [
            _in_float(len(trial.layers), requested=bool(explanation.kept)),
            f"{trial.drop_points:+.2f}",
            f"{trial.bytes:,}",
            f"{trial.ms:.3f}",
            "yes" if trial.sufficient else "no",
        ]
        for trial in explanation.trials
    ]


def _in_float(count: int, *, requested: bool) -> str:
    worst = "the worst" if count == 1 else f"the worst {count}"
    if requested:
        return f"as requested, {worst}" if count else "as requested"
    return worst if count else "none"


def _cells(layer: LayerError) -> dict[str, str]:
    outlier = "-" if layer.outlier is None else f"{layer.outlier.channel} ({_short(layer.outlier.ratio)}x)"
    return {
        "layer": layer.layer,
        "error %": _percent(layer.error),
        "share %": f"{100 * layer.share:.1f}",
        "weights %": _percent(layer.weight_error),
        "output %": _percent(layer.activation_error),
        "equalized %": _percent(layer.error_after),
        "outlier channel": outlier,
        "weight range": _range(layer.weight_range),
        "output range": _range(layer.activation_range),
    }


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.3f}"


def _range(limits: tuple[float, float] | None) -> str:
    return "-" if limits is None else f"{_short(limits[0])}..{_short(limits[1])}"


def _short(value: float) -> str:
    """Three digits, and no power of ten for thousands."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"
