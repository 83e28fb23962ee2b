"""The page about an int8 artifact, whatever the layers are called."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge_fm.evaluation.explanation_page import unexplained, write_explanations
from edge_fm_export.quantization.explanation.explanation import Explanation, FloatTrial, LayerError, Outlier
from edge_fm_export.targets import parse_targets

pytestmark = pytest.mark.needs("jinja2", "matplotlib")


@pytest.mark.parametrize("layer", ["conv1", "$$", r"$\frac{$", "<script>alert(1)</script>"])
def test_the_page_names_layers_errors_and_advice_as_text(layer: str, tmp_path: Path) -> None:
    worst = LayerError(layer, ("Conv",), 0.4321, 0.75, 0.01, 0.43, outlier=Outlier(5, 900.0))
    trials = (FloatTrial((), 9.0, False, 1000, 1.0), FloatTrial((layer,), 0.125, True, 1100, 1.5))
    explanation = Explanation((worst,), trials, (), 9.0, 0.5, 200, "held out")
    report = SimpleNamespace(explanations={"net-onnx-int8": explanation})
    (file,) = write_explanations(cast("Any", report), tmp_path / "out")
    text = file.read_text("utf-8")
    assert file.name == "net-onnx-int8-explanation.html"
    assert "43.210" in text and "5 (900x)" in text and "+0.12" in text and "--keep-float" in text
    assert "<script>alert" not in text
    assert layer.replace("<", "&lt;").replace(">", "&gt;") in text


@pytest.mark.parametrize("precisions", [None, "w8a16", "fp16,w8a16"])
def test_that_nothing_was_there_to_explain_is_said(precisions: str | None) -> None:
    results = [SimpleNamespace(target=target, explanation=None) for target in parse_targets("litert", precisions)]
    assert unexplained(cast("Any", SimpleNamespace(results=results, failures=[]))) == [
        "Note: --explain explains int8, which was not requested; add --precision int8."
    ]
