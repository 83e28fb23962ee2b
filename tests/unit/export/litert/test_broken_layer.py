"""A trained network with one channel made a thousand times larger: it is named, and the advice passes the gate."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest

from edge_fm.data.sources import load_dataset
from edge_fm.models.records import trained_model
from edge_fm_export.context import EvaluationSet, QuantizeOptions
from edge_fm_export.pipeline import export_targets
from edge_fm_export.quantization.calibration import calibration_set
from edge_fm_export.sources import load_source
from edge_fm_export.targets import Target

pytestmark = [pytest.mark.needs("tensorflow", "ai_edge_litert"), pytest.mark.slow]

LAYER, CHANNEL, FACTOR = "full_block1_a_conv", 5, 1000.0
INT8 = Target("litert", "int8")


def _sets() -> dict[str, EvaluationSet]:
    data = load_dataset("fashion-mnist-mini")
    validation, calibration = slice(0, None, 2), slice(1, None, 2)
    given = [
        ("test", data.test.images, data.test.labels, 300),
        ("calibration", data.train.images[calibration], data.train.labels[calibration], 100),
        ("validation", data.train.images[validation], data.train.labels[validation], 300),
    ]
    return {name: calibration_set(images, labels, samples=count, name=name) for name, images, labels, count in given}


def _broken(folder: Path) -> Path:
    """The packaged edgenet-s, which computes what it did: the next layer divides by what this one multiplies."""
    model = keras.models.load_model(trained_model("edgenet-s") / "model.keras")
    gamma, beta, *moving = model.get_layer("full_block1_a_bn").get_weights()
    gamma[CHANNEL] *= FACTOR
    beta[CHANNEL] *= FACTOR
    model.get_layer("full_block1_a_bn").set_weights([gamma, beta, *moving])
    following = model.get_layer("full_block1_b_conv")
    (kernel,) = following.get_weights()
    kernel[:, :, CHANNEL] /= FACTOR
    following.set_weights([kernel])
    model.save(folder / "broken.keras")
    return folder / "broken.keras"


def test_the_channel_made_to_break_is_named_and_the_advice_passes_the_gate(tmp_path: Path) -> None:
    source, sets = load_source(_broken(tmp_path)), _sets()
    failed = export_targets(source, [INT8], tmp_path / "plain", **sets, quantize=QuantizeOptions(explain="failed"))
    (failure,) = failed.failures
    explanation = failure.explanation
    assert explanation is not None and not explanation.healthy
    worst = explanation.layers[0]
    assert worst.layer == LAYER and worst.share > 0.8
    assert worst.outlier is not None and worst.outlier.channel == CHANNEL and worst.outlier.ratio > 100
    assert f" of the layers' errors come from {LAYER}, whose channel {CHANNEL} reaches" in explanation.cause
    assert explanation.enough is not None and explanation.enough.layers == (LAYER,)
    assert f"--keep-float {LAYER}" in explanation.advice and f"--keep-float {LAYER}" in str(failure.error.hint)

    advised = QuantizeOptions(keep_float=explanation.enough.layers, explain="all")
    report = export_targets(source, [INT8], tmp_path / "advised", **sets, quantize=advised)
    report.require_all()
    (made,) = report.results
    assert made.explanation is not None and made.explanation.healthy
    assert made.explanation.advice.startswith("Nothing needs mending")
    assert LAYER not in {layer.layer for layer in made.explanation.layers}
    recorded = made.metadata.quantization
    assert recorded is not None and recorded["kept_float"] == [LAYER]
