"""TensorFlow traces a model once for the gate's reference and for what every format is made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from tiny_models import tiny_images

from edge_fm_export.context import SourceModel
from edge_fm_export.gate.reference import reference_predictions
from edge_fm_export.savedmodel.savedmodel_format import frozen_graph


class _Counted:
    """A model that counts how often its Python code is run."""

    def __init__(self, model: Any) -> None:
        self.model, self.calls = model, 0

    def __call__(self, image: Any, *, training: bool) -> Any:
        self.calls += 1
        return self.model(image, training=training)


def test_a_model_is_traced_once_for_each_batch_size(tiny_sources: dict[str, SourceModel]) -> None:
    original = tiny_sources["grey"]
    model = _Counted(original.model)
    source = replace(original, model=model)
    images, _ = tiny_images(source.input.shape, 10, seed=5)
    predictions = reference_predictions(source, images)
    np.testing.assert_allclose(predictions, np.asarray(original.model(images, training=False)), atol=1e-6)
    graph = frozen_graph(source)
    np.testing.assert_allclose(reference_predictions(source, images[:3]), predictions[:3], atol=1e-6)
    assert model.calls == 1
    assert frozen_graph(replace(original, model=_Counted(original.model))) == graph
    frozen_graph(source, batch=1)
    assert model.calls == 2
