"""Extra outputs: what the embedding of a Keras model is, and which models have none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_fm_export.context import QuantizeOptions
from edge_fm_export.gate.advice import gate_advice
from edge_fm_export.outputs.extra import check_outputs, extra_outputs, require_outputs
from edge_fm_export.sources import load_source
from edge_fm_export.targets import Target
from edge_fm_runtime.errors import ExportError, ModelError
from edge_fm_runtime.parity.checks import Check

keras = pytest.importorskip("keras")
L = keras.layers
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)


def flat() -> Any:
    layers = [L.Rescaling(1 / 255), L.Conv2D(6, 3, activation="relu"), L.Flatten(), L.Dense(5, activation="relu")]
    return keras.Sequential([keras.Input((8, 8, 3)), *layers, L.Dropout(0.5), L.Dense(3, activation="softmax")])


def nested() -> Any:
    body = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(4, 3, activation="relu"), L.GlobalAveragePooling2D()])
    head = keras.Sequential([keras.Input((4,)), L.Dense(6, activation="relu"), L.Dense(3, activation="softmax")])
    image = keras.Input((8, 8, 3))
    return keras.Model(image, head(body(L.Rescaling(1 / 255)(image))))


def convolutions() -> Any:
    image = keras.Input((8, 8, 3))
    x = L.Conv2D(7, 3, activation="relu", name="maps")(L.Rescaling(1 / 255)(image))
    x = L.GlobalAveragePooling2D()(L.Conv2D(3, 1, name="scores")(x))
    return keras.Model(image, L.Softmax()(x))


def sigmoid() -> Any:
    layers = [L.Rescaling(1 / 255), L.Conv2D(6, 3, activation="relu"), L.GlobalAveragePooling2D()]
    return keras.Sequential([keras.Input((8, 8, 3)), *layers, L.Dense(1, activation="sigmoid")])


@pytest.mark.parametrize(
    ("build", "before", "average"),
    [(flat, -3, False), (nested, None, False), (convolutions, 2, True), (sigmoid, -2, False)],
)
def test_the_embedding_is_what_the_last_layer_with_weights_reads(
    build: Any, before: int | None, average: bool, tmp_path: Path
) -> None:
    model = build()
    model.save(tmp_path / "model.keras")
    source = load_source(tmp_path / "model.keras")
    extra = extra_outputs(source.model, ["embedding"])
    found = {name: np.asarray(values) for name, values in extra.model(IMAGES, training=False).items()}
    np.testing.assert_array_equal(found["probabilities"], np.asarray(source.model(IMAGES, training=False)))
    if before is None:  # the first layer of the inner head, after the body
        body, head = model.layers[-2], model.layers[-1]
        expected = head.layers[0](body(model.layers[1](IMAGES)))
    else:
        expected = keras.Model(model.inputs[0], model.layers[before].output)(IMAGES.astype(np.float32), training=False)
    expected = np.asarray(expected).mean(axis=(1, 2)) if average else np.asarray(expected)
    np.testing.assert_allclose(found["embedding"], expected, atol=1e-6)
    (spec,) = extra.specs
    assert (spec.name, spec.shape) == ("embedding", expected.shape[1:])
    assert ("mean over all places" in spec.description) == average


def test_what_has_no_embedding_is_refused_by_the_name_of_its_layer() -> None:
    image = keras.Input((8, 8, 3), dtype="uint8", name="image")
    x = L.GlobalAveragePooling2D()(L.Conv2D(3, 3)(L.Rescaling(1 / 255)(image)))
    model = keras.Model(image, L.Softmax(name="probabilities")(L.BatchNormalization(name="odd")(x)))
    for function in (require_outputs, extra_outputs):
        with pytest.raises(ModelError, match=r"odd \(BatchNormalization\) stands where a Dense or Conv2D") as error:
            function(model, ["embedding"])
        assert "Leave --outputs out" in str(error.value.hint)


def test_a_model_that_calls_its_layers_itself_is_refused() -> None:
    class Own(keras.Model):  # type: ignore[misc]  # Keras has no types
        def __init__(self) -> None:
            super().__init__(name="own")
            self.inner = L.Dense(3, activation="softmax")

        def call(self, x: Any) -> Any:
            return self.inner(keras.ops.mean(x, axis=(1, 2)))

    image = keras.Input((8, 8, 3), dtype="uint8", name="image")
    model = keras.Model(image, Own()(L.Rescaling(1 / 255)(image)))
    with pytest.raises(ModelError, match=r"own \(Own\) stands where"):
        require_outputs(model, ["embedding"])


def test_names_are_checked_and_put_in_order() -> None:
    assert check_outputs("cam,embedding") == check_outputs(["embedding", "cam", "cam"]) == ("embedding", "cam")
    assert check_outputs([]) == ()
    with pytest.raises(ExportError, match="There is no output 'heat'; supported: embedding, cam"):
        check_outputs(["heat"])


def test_the_advice_for_a_failed_embedding_is_not_that_for_probabilities() -> None:
    failed = [
        Check("mean_cosine_embedding", 0.9, 0.99, passed=False),
        Check("mean_cosine_embedding_batch1", 0.9, 0.99, False),
    ]
    advice = gate_advice(failed, Target("onnx", "int8"), QuantizeOptions(accuracy_control=True))
    assert advice == "Try --precision fp16. Without embedding: leave --outputs out."
    assert failed[0].describe() == "mean_cosine_embedding = 0.9, must be at least 0.99"


def averaged() -> Any:
    layers = [L.Rescaling(1 / 255), L.Conv2D(6, 3, activation="relu"), L.GlobalAveragePooling2D(), L.Dropout(0.2)]
    four = keras.initializers.Constant(4)
    normalized = L.BatchNormalization(beta_initializer="ones", moving_variance_initializer=four)
    return keras.Sequential([keras.Input((8, 8, 3)), *layers, normalized, L.Dense(3, activation="softmax")])


def weighed_places() -> Any:
    layers = [L.Rescaling(1 / 255), L.Conv2D(6, 3, activation="relu"), L.DepthwiseConv2D(6, use_bias=False)]
    normalized = L.BatchNormalization(moving_variance_initializer=keras.initializers.Constant(0.5))
    return keras.Sequential(
        [keras.Input((8, 8, 3)), *layers, normalized, L.Flatten(), L.Dense(3, activation="softmax")]
    )


@pytest.mark.parametrize("build", [averaged, weighed_places, convolutions, sigmoid])
def test_the_sum_of_a_class_map_is_the_logit_but_for_a_constant(build: Any, tmp_path: Path) -> None:
    build().save(tmp_path / "model.keras")
    source = load_source(tmp_path / "model.keras")
    extra = extra_outputs(source.model, ["embedding", "cam"])
    assert [spec.name for spec in extra.specs] == ["embedding", "cam"]
    found = {name: np.asarray(values) for name, values in extra.model(IMAGES, training=False).items()}
    classes = found["probabilities"].shape[1]
    assert found["cam"].shape == (5, 6, 6, classes) and extra.specs[1].shape == (6, 6, classes)
    np.testing.assert_array_equal(found["probabilities"], np.asarray(source.model(IMAGES, training=False)))
    logits = np.log(found["probabilities"])
    if classes == 2:  # 1-p and p: the logit of p is their difference, half for each side of the maps
        sums = found["cam"].sum(axis=(1, 2))
        np.testing.assert_allclose(sums[:, 0], -sums[:, 1], atol=1e-6)
        of_maps, of_model = sums[:, 1], logits[:, 1] - logits[:, 0]
    else:
        of_maps, of_model = (x[:, 1:] - x[:, :1] for x in (found["cam"].sum(axis=(1, 2)), logits))
    shifts = of_model - of_maps
    np.testing.assert_allclose(shifts, np.broadcast_to(shifts[:1], shifts.shape), atol=1e-4)
    assert np.ptp(of_maps, axis=0).max() > 1e-3  # the maps differ from image to image


def test_a_flattened_feature_map_has_no_class_maps() -> None:
    image = keras.Input((8, 8, 3), dtype="uint8", name="image")
    x = L.Flatten(name="all_places")(L.Conv2D(3, 3)(L.Rescaling(1 / 255)(image)))
    model = keras.Model(image, L.Dense(3, activation="softmax", name="probabilities")(x))
    require_outputs(model, ["embedding"])
    for function in (require_outputs, extra_outputs):
        with pytest.raises(ModelError, match=r"no class activation maps: all_places \(Flatten\) stands where") as error:
            function(model, ["cam"])
        assert "GlobalAveragePooling2D" in str(error.value.hint)
