"""ResNet-18 (He et al. 2015) with the stages of PyTorch's: layer1 to layer4.

keras.applications has none. keras-hub does, but it needs TensorFlow Text, a tokenizer library and Kaggle's client; so
the network stands here, layer by layer in the order of keras-hub's, whose weights load into it.
"""

from __future__ import annotations

from typing import Any

from edge_fm.models.keras_import import require_keras

_WIDTHS = (64, 128, 256, 512)
_BLOCKS = 2
_TOP_SIDE = 224


def backbone(*, image: Any = None, side: int, top: bool = False) -> Any:
    """Build the network with fresh weights.

    Args:
        image: symbolic float32 `[N,side,side,3]`, or None for an input of its own.
        side: height and width, at least 32.
        top: with global average pooling and 1000 probabilities.

    Returns:
        keras.Model; its output is the feature map `[N,h,w,512]`, 32 times smaller than the image, or with `top` the
        probabilities.
    """
    keras = require_keras("the model resnet18")
    layers = keras.layers
    side = _TOP_SIDE if top else side
    x = image = keras.Input((side, side, 3)) if image is None else image
    # Padded as PyTorch pads: on all sides, where "same" with a stride pads below and right alone.
    x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = _conv_bn(x, 64, kernel=7, stride=2, name="conv1")
    x = layers.ReLU(name="conv1_relu")(x)
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    for stage, width in enumerate(_WIDTHS, start=1):
        for block in range(1, _BLOCKS + 1):
            x = _residual(x, width, stride=2 if stage > 1 and block == 1 else 1, name=f"layer{stage}_block{block}")
    if top:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = layers.Dense(1000, activation="softmax", name="predictions")(x)
    return keras.Model(keras.utils.get_source_inputs(image), x, name="resnet18_backbone")


def _conv_bn(x: Any, channels: int, *, kernel: int, stride: int = 1, name: str) -> Any:
    layers = require_keras("the model resnet18").layers
    padding = "valid" if stride > 1 else "same"
    x = layers.Conv2D(
        channels,
        kernel,
        strides=stride,
        padding=padding,
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    return layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=f"{name}_bn")(x)


def _residual(x: Any, channels: int, *, stride: int, name: str) -> Any:
    layers = require_keras("the model resnet18").layers
    skip = x
    if stride > 1:
        skip = _conv_bn(x, channels, kernel=1, stride=stride, name=f"{name}_skip")
        x = layers.ZeroPadding2D(1, name=f"{name}_a_pad")(x)
    x = _conv_bn(x, channels, kernel=3, stride=stride, name=f"{name}_a")
    x = layers.ReLU(name=f"{name}_a_relu")(x)
    x = _conv_bn(x, channels, kernel=3, name=f"{name}_b")
    x = layers.Add(name=f"{name}_add")([skip, x])
    return layers.ReLU(name=f"{name}_relu")(x)
