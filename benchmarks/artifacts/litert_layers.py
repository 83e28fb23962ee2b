"""Small models of one kind of layer each, for the comparison of LiteRT's quantizers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Layer = Callable[[Any, Any], Any]
"""Called with `keras.layers` and the tensor before."""

LAYERS: Mapping[str, Layer] = {
    "Conv2D, dilated": lambda layers, x: layers.Conv2D(8, 3, dilation_rate=2)(x),
    "Conv2D, grouped": lambda layers, x: layers.Conv2D(8, 3, groups=2)(x),
    "Conv2DTranspose": lambda layers, x: layers.Conv2DTranspose(8, 2, strides=2)(x),
    "SeparableConv2D": lambda layers, x: layers.SeparableConv2D(8, 3)(x),
    "Conv1D": lambda layers, x: layers.Reshape((14, 14, 8))(
        layers.Conv1D(8, 3, padding="same")(layers.Reshape((196, 8))(x))
    ),
    "MaxPooling2D": lambda layers, x: layers.MaxPooling2D(2)(x),
    "AveragePooling2D": lambda layers, x: layers.AveragePooling2D(2)(x),
    "GlobalMaxPooling2D": lambda layers, x: layers.GlobalMaxPooling2D(keepdims=True)(x),
    "BatchNormalization before ReLU": lambda layers, x: layers.ReLU()(
        layers.BatchNormalization()(layers.Concatenate()([x, x]))
    ),
    "LayerNormalization": lambda layers, x: layers.LayerNormalization()(x),
    "GroupNormalization": lambda layers, x: layers.GroupNormalization(2)(x),
    "ReLU6": lambda layers, x: layers.ReLU(6.0)(layers.Concatenate()([x, x])),
    "LeakyReLU": lambda layers, x: layers.LeakyReLU(negative_slope=0.1)(x),
    "PReLU": lambda layers, x: layers.PReLU(shared_axes=[1, 2])(x),
    "ELU": lambda layers, x: layers.ELU()(x),
    "gelu": lambda layers, x: layers.Activation("gelu")(x),
    "silu": lambda layers, x: layers.Activation("silu")(x),
    "hard_silu": lambda layers, x: layers.Activation("hard_silu")(x),
    "hard_sigmoid": lambda layers, x: layers.Activation("hard_sigmoid")(x),
    "softplus": lambda layers, x: layers.Activation("softplus")(x),
    "mish": lambda layers, x: layers.Activation("mish")(x),
    "tanh": lambda layers, x: layers.Activation("tanh")(x),
    "Add": lambda layers, x: layers.Add()([x, layers.Conv2D(8, 1)(x)]),
    "Subtract": lambda layers, x: layers.Subtract()([x, layers.Conv2D(8, 1)(x)]),
    "Multiply": lambda layers, x: layers.Multiply()([x, layers.Conv2D(8, 1)(x)]),
    "Maximum": lambda layers, x: layers.Maximum()([x, layers.Conv2D(8, 1)(x)]),
    "Minimum": lambda layers, x: layers.Minimum()([x, layers.Conv2D(8, 1)(x)]),
    "squeeze and excitation": lambda layers, x: layers.Multiply()(
        [x, layers.Dense(8, "sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))]
    ),
    "MultiHeadAttention": lambda layers, x: layers.Reshape((14, 14, 8))(
        layers.MultiHeadAttention(2, 4)(*[layers.Reshape((196, 8))(x)] * 2)
    ),
    "LSTM, unrolled": lambda layers, x: layers.Reshape((1, 1, 6))(
        layers.LSTM(6, unroll=True)(layers.Reshape((14, 112))(x))
    ),
    "UpSampling2D, nearest": lambda layers, x: layers.UpSampling2D()(x),
    "UpSampling2D, bilinear": lambda layers, x: layers.UpSampling2D(interpolation="bilinear")(x),
    "ZeroPadding2D": lambda layers, x: layers.Conv2D(8, 3)(layers.ZeroPadding2D(2)(x)),
    "Cropping2D": lambda layers, x: layers.Cropping2D(1)(x),
    "Permute": lambda layers, x: layers.Permute((2, 1, 3))(x),
}


def small_model(layer: str) -> Any:
    """A classifier of 28x28 grey pixels with one layer of a kind between two convolutions."""
    from edge_fm_export.compat.tensorflow_setup import import_keras

    keras = import_keras()
    keras.utils.set_random_seed(0)
    image = keras.Input((28, 28, 1), dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same")(x)
    x = LAYERS[layer](keras.layers, x)
    x = keras.layers.Conv2D(6, 1)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(4, activation="softmax")(x))
