"""Zeros that a network pads with are values to a maximum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from exporting import export

from edge_fm_export.compat.tensorflow_setup import require_tensorflow
from edge_fm_export.context import EvaluationSet
from edge_fm_export.quantization.calibration import hash_images
from edge_fm_export.sources import load_source
from edge_fm_export.targets import parse_targets


@pytest.mark.parametrize("activation", [None, "relu"])
def test_zeros_before_a_maximum_stay_zeros(activation: str | None, tmp_path: Path) -> None:
    keras = require_tensorflow("the tests")[1]
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = keras.Input((12, 12, 3), dtype="uint8")
    x = layers.Rescaling(1 / 255)(image)
    # Negative almost everywhere, so that a border of zeros wins its maxima.
    x = layers.Conv2D(8, 3, activation=activation, bias_initializer=keras.initializers.Constant(-0.5))(x)
    x = layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(1)(x))
    x = layers.Dense(5, activation="softmax", kernel_initializer=keras.initializers.RandomNormal(stddev=0.5))(
        layers.Flatten()(x)
    )
    keras.Model(image, x).save(tmp_path / "net.keras")
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (64, 12, 12, 3), dtype=np.uint8), np.arange(64) % 5
    test = EvaluationSet("noise", images, labels, hash_images(images, labels))
    report = export(load_source(tmp_path / "net.keras"), parse_targets(["onnx", "openvino"]), tmp_path, test=test)
    assert [result.parity.top1_agreement for result in report.results] == [1.0, 1.0]
    graph = (tmp_path / "net-onnx-fp32" / "model.onnx").read_bytes()
    assert (b"/kept" in graph) is (activation is None)
