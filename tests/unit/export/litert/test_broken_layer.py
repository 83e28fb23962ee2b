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
from edge_fm_runtime.errors import GateError

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


def _broken(folder: Path, following_share: float = 1 / FACTOR) -> Path:
    """The packaged edgenet-s, one of whose channels is larger by a factor.

    Args:
        folder: for its file.
        following_share: what the next layer multiplies the channel's weights by; by default it computes what it did.
    """
    model = keras.models.load_model(trained_model("edgenet-s") / "model.keras")
    gamma, beta, *moving = model.get_layer("full_block1_a_bn").get_weights()
    gamma[CHANNEL] *= FACTOR
    beta[CHANNEL] *= FACTOR
    model.get_layer("full_block1_a_bn").set_weights([gamma, beta, *moving])
    following = model.get_layer("full_block1_b_conv")
    (kernel,) = following.get_weights()
    kernel[:, :, CHANNEL] *= following_share
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


@pytest.mark.needs("ai_edge_quantizer")
def test_w8a16_passes_where_int8_of_litert_loses_too_much_and_advises_it(tmp_path: Path) -> None:
    # The next layer does not read the channel: only the range of the activations is broken.
    source, sets = load_source(_broken(tmp_path, 0.0)), _sets()
    (failure,) = export_targets(source, [INT8], tmp_path / "int8", **sets).failures
    assert isinstance(failure.error, GateError)
    assert "--precision w8a16 or --precision fp16" in (failure.error.hint or "")
    report = export_targets(source, [Target("litert", "w8a16")], tmp_path / "w8a16", **sets)
    report.require_all()
    (result,) = report.results
    assert result.parity.drop_points is not None and result.parity.drop_points <= 0.5
    assert result.parity.top1_agreement > 0.98
