"""Faster layers of training: the same outputs, gradients and statistics as Keras's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_fm.models import build_model
from edge_fm.training.optimization.fast_layers import with_fast_layers

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
if keras.backend.backend() != "tensorflow":
    pytest.skip("TensorFlow is not the backend", allow_module_level=True)


def layer_model(channels: int, dtype: str) -> Any:
    inputs = keras.Input((6, 5, channels), dtype="float32")
    norm = keras.layers.BatchNormalization(momentum=0.5, dtype=dtype, name="norm")
    model = keras.Model(inputs, norm(inputs))
    norm.gamma.assign(np.linspace(0.5, 2, channels))
    norm.beta.assign(np.linspace(-1, 1, channels))
    return model


def pool_model(dtype: str, **options: Any) -> Any:
    inputs = keras.Input((6, 5, 3), dtype="float32")
    pool = keras.layers.DepthwiseConv2D((6, 5), dtype=dtype, name="pool", **options)
    model = keras.Model(inputs, pool(inputs))
    model.set_weights([np.random.default_rng(1).normal(size=w.shape) for w in model.get_weights()])
    return model


def results(model: Any, x: Any, weights: Any) -> list[np.ndarray]:
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = model(x, training=True)
        loss = tf.reduce_sum(tf.cast(y, tf.float64) * weights)
    gradients = tape.gradient(loss, [x, *model.trainable_variables])
    found = [y, *gradients, *model.non_trainable_variables, model(x, training=False)]
    return [np.asarray(tf.cast(tf.convert_to_tensor(value), tf.float64)) for value in found]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 2e-2)])
@pytest.mark.parametrize("channels", [3, 16])
def test_it_is_keras_in_one_kernel(channels: int, dtype: str, tolerance: float) -> None:
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(1.5, 2, (4, 6, 5, channels)), tf.float32)
    weights = tf.constant(rng.normal(size=(4, 6, 5, channels)))
    plain = layer_model(channels, dtype)
    fused = with_fast_layers(plain)
    assert fused is not plain
    assert type(fused.get_layer("norm")) is not keras.layers.BatchNormalization
    for ours, theirs in zip(results(fused, x, weights), results(plain, x, weights), strict=True):
        assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 2e-2)])
@pytest.mark.parametrize("options", [{"use_bias": False}, {"activation": "relu"}])
def test_a_convolution_over_the_whole_map_is_a_weighted_sum(
    options: dict[str, Any], dtype: str, tolerance: float
) -> None:
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(64, 6, 5, 3)), tf.float32)
    weights = tf.constant(rng.normal(size=(64, 1, 1, 3)))
    plain = pool_model(dtype, **options)
    fast = with_fast_layers(plain)
    assert type(fast.get_layer("pool")) is not keras.layers.DepthwiseConv2D
    assert [v.path for v in fast.variables] == [v.path for v in plain.variables]
    for ours, theirs in zip(results(fast, x, weights), results(plain, x, weights), strict=True):
        assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()


def test_a_frozen_layer_keeps_its_statistics() -> None:
    fused = with_fast_layers(layer_model(16, "float32"))
    fused.trainable = False
    before = fused.get_weights()
    x = np.random.default_rng(0).normal(size=(4, 6, 5, 16)).astype(np.float32)
    np.testing.assert_array_equal(fused(x, training=True), fused(x, training=False))
    for was, is_ in zip(before, fused.get_weights(), strict=True):
        np.testing.assert_array_equal(was, is_)


def test_one_pixel_has_no_variance() -> None:
    model = keras.Sequential([keras.Input((1, 1, 16)), keras.layers.BatchNormalization()])
    fused = with_fast_layers(model)
    fused(np.ones((1, 1, 1, 16), np.float32), training=True)
    assert all(np.isfinite(values).all() for values in fused.get_weights())


def test_what_has_nothing_to_gain_stays_itself() -> None:
    inputs = keras.Input((4, 4, 3))
    for model in (
        keras.Model(inputs, keras.layers.Flatten()(inputs)),
        keras.Model(inputs, keras.layers.BatchNormalization(axis=1)(inputs)),
        keras.Model(inputs, keras.layers.BatchNormalization(scale=False)(inputs)),
        keras.Model(inputs, keras.layers.BatchNormalization()(keras.layers.Flatten()(inputs))),
        keras.Model(inputs, keras.layers.DepthwiseConv2D((4, 3))(inputs)),
        keras.Model(inputs, keras.layers.DepthwiseConv2D((4, 4), padding="same")(inputs)),
        keras.Model(inputs, keras.layers.DepthwiseConv2D((4, 4), depth_multiplier=2)(inputs)),
        keras.Model(inputs, layer_model(3, "float32")(keras.layers.Resizing(6, 5)(inputs))),
    ):
        assert with_fast_layers(model) is model
    frozen = layer_model(3, "float32")
    frozen.trainable = False
    assert with_fast_layers(frozen) is frozen


def test_what_is_frozen_stays_frozen() -> None:
    model = build_model("edgenet-n", input_shape=(28, 28, 1), classes=10)
    for name in ("stem_conv", "stem_bn"):
        model.get_layer(name).trainable = False
    fused = with_fast_layers(model)
    assert fused is not model
    assert [v.path for v in fused.trainable_variables] == [v.path for v in model.trainable_variables]


def test_weights_and_names_stay_in_their_order() -> None:
    model = build_model("edgenet-n", input_shape=(28, 28, 1), classes=10)
    fused = with_fast_layers(model)
    assert [v.path for v in fused.variables] == [v.path for v in model.variables]
    for ours, theirs in zip(fused.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
