"""A step of training on a CPU: our model beside the same one of Keras's own layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks import against
from edge_fm.data import load_dataset
from edge_fm.models import build_model
from edge_fm.training import load_recipe
from edge_fm.training.optimization.fast_layers import with_fast_layers
from edge_fm.training.optimization.optimizers import build_optimizer

MODEL, BATCH = "edgenet-s", 128


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_training_step(benchmark: Any, precision: str) -> None:
    import keras

    if keras.backend.backend() != "tensorflow":
        pytest.skip("other backends train with Keras's own layers")
    data = load_dataset("fashion-mnist-mini")
    images, targets = data.train.images[:BATCH], np.eye(10, dtype=np.float32)[data.train.labels[:BATCH]]
    models = {}
    for name in ("ours", "bare"):
        keras.config.set_dtype_policy(precision)
        try:
            model = build_model(MODEL, input_shape=data.train.images.shape[1:], classes=10)
        finally:
            keras.config.set_dtype_policy("float32")
        models[name] = with_fast_layers(model) if name == "ours" else model
        optimizer = build_optimizer(load_recipe(MODEL).optimizer, 1e-3)
        models[name].compile(optimizer=optimizer, loss="categorical_crossentropy")

    benchmark.group = "training step"
    benchmark.extra_info.update(model=MODEL, batch=BATCH, precision=precision)
    benchmark.pedantic(models["ours"].train_on_batch, (images, targets), rounds=10, warmup_rounds=3)
    benchmark.extra_info["against"] = against.quick(
        lambda: models["ours"].train_on_batch(images, targets),
        lambda: models["bare"].train_on_batch(images, targets),
        "Keras: the same model as it was built",
        seconds=6.0,
    )
