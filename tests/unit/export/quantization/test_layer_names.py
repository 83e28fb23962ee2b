"""The Keras layer of a node of an exported graph, by the node's name."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from edge_fm_export.litert.model_file import main_part
from edge_fm_export.quantization.explanation.layer_names import LayerNames

pytestmark = pytest.mark.needs("tensorflow")


@pytest.fixture(scope="module")
def model() -> Any:
    """Layers whose names look like calls of each other, and like operators of other layers."""
    layers = keras.layers
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="conv")(image)
    x = layers.BatchNormalization(name="conv_bn")(x)
    y = layers.Conv2D(4, 3, padding="same", name="conv_1")(x)
    x = layers.Add(name="add_1")([x, y])
    x = layers.DepthwiseConv2D(3, name="deep")(x)
    x = layers.LayerNormalization(name="norm")(x)
    return keras.Model(image, layers.Dense(2, name="logits")(layers.Flatten(name="flat")(x)), name="net")


@pytest.mark.parametrize(
    ("node", "layer"),
    [
        ("net_1/conv_1/convolution", "conv"),
        ("net_1/conv_1_2/convolution1", "conv_1"),
        ("net/conv_1/convolution", "conv_1"),
        ("net_1/conv_bn_1/batchnorm/add_1", "conv"),  # folded into it, and not the layer that is called add_1
        ("net_1/add_1_1/Add", "add_1"),
        ("net_1/norm_1/add_1", "norm"),
        ("net_1/relu_1/Relu;net_1/deep_1/depthwise", "deep"),
        ("logits:0", "logits"),
        ("net_1/Cast", None),
        ("convolution18", None),
    ],
)
def test_nodes_have_the_names_of_their_layers(model: Any, node: str, layer: str | None) -> None:
    assert LayerNames(model).of(node) == layer


def test_a_fused_operator_is_of_the_layer_that_computes() -> None:
    shared = "net_1/relu_1/Relu6;net_1/b_bn_1/batchnorm/mul_1;net_1/b_1/depthwise;net_1/a_bn_1/batchnorm/Rsqrt1"
    assert main_part(shared) == "net_1/b_1/depthwise"
    assert main_part("net_1/relu_1/Relu;net_1/add_1/Add") == "net_1/relu_1/Relu;net_1/add_1/Add"


def test_weights_name_a_layer_whatever_the_order_of_their_sides(model: Any) -> None:
    kernel = np.asarray(model.get_layer("conv_1").kernel)
    names = LayerNames(model)
    assert names.by_weights(kernel.transpose(3, 0, 1, 2)) == "conv_1"
    assert names.by_weights(2 * kernel) is None
    assert names.by_weights(np.zeros(4, np.float32)) is None  # the biases of several


def test_layers_of_a_saved_model_have_the_names_of_its_graph() -> None:
    class SavedModelLayer(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    image = keras.Input((4,), name="image")
    held = SavedModelLayer(name="saved_model")(image)
    names = LayerNames(keras.Model(image, keras.layers.Softmax(name="probabilities")(held), name="classifier"))
    inside = "classifier_1/theirs_1/saved_model_1/import/StatefulPartitionedCall"
    assert names.of(f"{inside}/theirs_1/conv_1/convolution") == "theirs_1/conv_1"
    assert names.of(f"{inside}/add") == "add"
    assert names.of("classifier_1/probabilities_1/Softmax") == "probabilities"
