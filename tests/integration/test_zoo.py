"""Every model of the zoo learns for a few steps, goes to ONNX and OpenVINO, and predicts there as it did in Keras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from exporting import export

from edge_fm.models import MODELS, build_model, count_macs, model_names
from edge_fm.models.architectures.parts import classifier_head
from edge_fm_export.compat.tensorflow_setup import require_tensorflow
from edge_fm_export.context import EvaluationSet
from edge_fm_export.quantization.calibration import hash_images
from edge_fm_export.sources import load_source
from edge_fm_export.targets import parse_targets

pytestmark = pytest.mark.slow

# Made of the blocks of the smallest of their family.
LARGER = {"mobilenet-v3-large", *(f"efficientnet-lite{number}" for number in range(1, 5))}
# Layer -> up to which these are exported, under a head of their own: what follows repeats the same blocks, wider.
EXPORTED_UP_TO = {
    "resnet50": "conv4_block2_out",
    "resnet152-v2": "conv3_block8_out",
    "vgg16": "block4_pool",
    "vgg19": "block3_pool",
    "convnext-tiny": "convnext_tiny_downsampling_block_1",
}


def bars(shape: tuple[int, int, int], classes: int, n: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with one bright bar, whose height is the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    images = rng.integers(0, 90, (n, *shape), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        top = 1 + label * (shape[0] - 3) // classes
        image[top : top + 2] += 160
    return images, labels


@pytest.mark.parametrize("name", [name for name in model_names() if name not in LARGER])
def test_it_learns_and_goes_to_onnx_and_openvino(name: str, tmp_path: Path) -> None:
    keras = require_tensorflow("the tests")[1]
    keras.utils.set_random_seed(0)
    entry = MODELS[name]
    # Those that see photos see small ones here; tests of the registry count the operations at the usual sizes.
    shape = (32, 32, 3) if entry.input_shape[0] > 32 else entry.input_shape
    options = {"size": 32} if entry.backbone else {}
    model = build_model(name, input_shape=shape, classes=entry.classes, **options)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0  # the last batch's statistics: a few steps could settle no others
    # Eagerly: tracing 152 layers and their gradients takes longer than a few steps.
    model.compile(keras.optimizers.SGD(0.001), "sparse_categorical_crossentropy", run_eagerly=True)
    images, labels = bars(shape, entry.classes, 10, seed=1)
    before = model.get_weights()
    losses = model.fit(images, labels, batch_size=5, epochs=1, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True) if a.ndim > 1)
    if name in EXPORTED_UP_TO:
        features = keras.layers.GlobalAveragePooling2D()(model.get_layer(EXPORTED_UP_TO[name]).output)
        head = classifier_head(keras.layers.LayerNormalization()(features), entry.classes)
        model = keras.Model(model.inputs[0], head, name="cut")
    # Five images are too few for the statistics of a deep network's last, 1x1 maps: fresh ones predict one class.
    model(bars(shape, entry.classes, 40, seed=3)[0], training=True)
    model.save(tmp_path / "net.keras")

    images, labels = bars(shape, entry.classes, 40, seed=2)
    test = EvaluationSet("bars", images, labels, hash_images(images, labels))
    report = export(load_source(tmp_path / "net.keras"), parse_targets(["onnx", "openvino"]), tmp_path, test=test)
    assert np.ptp(report.reference, axis=0).max() > 1e-3  # predictions that could differ
    assert [result.target.format for result in report.results] == ["onnx", "openvino"]
    macs = count_macs(model) if options or name in EXPORTED_UP_TO else entry.macs
    for result in report.results:
        assert result.parity.top1_agreement == 1.0
        assert result.checks and all(check.passed for check in result.checks)
        assert result.metadata.graph is not None
        assert result.metadata.graph["macs"] == macs
