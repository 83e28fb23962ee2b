"""The tables of an explanation, in a terminal of 80 columns."""

from __future__ import annotations

import pytest
from terminal import shown

from edge_fm.cli.console.explanation_table import print_explanation
from edge_fm_export.quantization.explanation.explanation import Explanation, FloatTrial, LayerError, Outlier


def test_names_errors_and_advice_fit_into_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = tuple(
        LayerError(
            f"stage{number}_block1_a_convolution",
            ("Conv", "Relu"),
            0.5 / (number + 1),
            0.1,
            0.001,
            0.4,
            weight_range=(-0.5, 0.25),
            activation_range=(0.0, 6220.0),
            outlier=Outlier(7, 1274.0),
        )
        for number in range(12)
    )
    trials = (
        FloatTrial((), 9.0, False, 101_172, 0.156),
        FloatTrial((layers[0].layer,), 0.1, True, 107_936, 0.175),
    )
    explanation = Explanation(layers, trials, (), 9.0, 0.5, 500, "held out")
    lines = shown(lambda: print_explanation("net-onnx-int8", explanation), 80, monkeypatch).splitlines()
    tables = [line for line in lines if not line.startswith("net-onnx-int8")]
    assert all(len(line) <= 80 for line in tables)
    rows = [line.split() for line in tables if "convolution" in line]
    assert [row[0] for row in rows] == [layer.layer for layer in layers[:10]]
    assert rows[0][1] == "50.000"
    assert "7 (1,274x)" in next(line for line in tables if "stage0_" in line)
    assert any(line.split() == ["the", "worst", "+0.10", "107,936", "0.175", "yes"] for line in tables)
    assert lines[-1].endswith("and an image takes 0.17 ms instead of 0.16.")
    assert "--keep-float stage0_block1_a_convolution" in lines[-1]
