"""Networks of keras.applications, as third-party files; benchmarks/artifacts/third_party_models.py tries all six."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from exporting import export

from edge_fm_export.compat.tensorflow_setup import require_tensorflow
from edge_fm_export.context import EvaluationSet
from edge_fm_export.quantization.calibration import hash_images
from edge_fm_export.targets import parse_targets
from edge_fm_export.third_party_models.adapt import load_third_party_model


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", "MobileNetV3Small"])
def test_they_agree_on_noise(name: str, tmp_path: Path) -> None:
    keras = require_tensorflow("the tests")[1]
    keras.utils.set_random_seed(0)
    shape = (32, 32, 3)
    model = getattr(keras.applications, name)(weights=None, input_shape=shape, classes=5)
    # Random weights predict the same for every image; a stretched head tells them apart.
    head = [layer for layer in model.layers if layer.get_weights()][-1]
    kernel, bias = head.get_weights()
    head.set_weights([np.random.default_rng(0).normal(size=kernel.shape) * 50, bias])
    model.save(tmp_path / "net.keras")
    images = np.random.default_rng(1).integers(0, 256, (64, *shape), dtype=np.uint8)
    test = EvaluationSet("noise", images, None, hash_images(images, None))
    report = export(
        load_third_party_model(tmp_path / "net.keras"), parse_targets(["onnx", "openvino"]), tmp_path, test=test
    )
    assert [result.parity.top1_agreement for result in report.results] == [1.0, 1.0]
