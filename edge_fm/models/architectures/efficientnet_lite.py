"""EfficientNet-Lite 0 to 4 (Tan and Le 2019, arXiv:1905.11946; Lite since 2020): made for int8 on small devices.

EfficientNet-B without squeeze-and-excite, with ReLU6 for swish, and with a stem and a head of fixed width. Source:
`efficientnet/lite/efficientnet_lite_builder.py` of TensorFlow's TPU models. keras.applications has none of them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from edge_fm.models.keras_import import require_keras


class _Variant(NamedTuple):
    width: float
    depth: float
    side: int
    dropout: float


VARIANTS = {
    "efficientnet-lite0": _Variant(1.0, 1.0, 224, 0.2),
    "efficientnet-lite1": _Variant(1.0, 1.1, 240, 0.2),
    "efficientnet-lite2": _Variant(1.1, 1.2, 260, 0.3),
    "efficientnet-lite3": _Variant(1.2, 1.4, 280, 0.3),
    "efficientnet-lite4": _Variant(1.4, 1.8, 300, 0.3),
}

# Repeats, kernel, stride, expansion, filters of each stage.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280
_STOCHASTIC_DEPTH = 0.2


class Block(NamedTuple):
    """One inverted residual block.

    Attributes:
        name: what the names of its layers begin with, such as "block2a".
        kernel: height and width of its depthwise convolution.
        stride: of that convolution.
        expansion: how many times more channels it computes in than it takes; 1 has no expanding convolution.
        filters: channels that it returns.
    """

    name: str
    kernel: int
    stride: int
    expansion: int
    filters: int


def blocks(name: str) -> tuple[Block, ...]:
    """The blocks of a variant, in order.

    Example:
        >>> len(blocks("efficientnet-lite0")), blocks("efficientnet-lite4")[-1].filters
        (16, 448)
    """
    variant = VARIANTS[name]
    found = []
    for number, (repeats, kernel, stride, expansion, filters) in enumerate(_STAGES, start=1):
        fixed = number in (1, len(_STAGES))
        count = repeats if fixed else math.ceil(repeats * variant.depth)
        for index in range(count):
            block = f"block{number}{chr(ord('a') + index)}"
            width = _rounded(filters * variant.width)
            found.append(Block(block, kernel, stride if index == 0 else 1, expansion, width))
    return tuple(found)


def _rounded(filters: float, divisor: int = 8) -> int:
    """The next multiple of 8, not more than a tenth below."""
    rounded = max(divisor, int(filters + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * filters else rounded


def backbone(name: str, *, image: Any = None, side: int, top: bool = False) -> Any:
    """Build a variant with fresh weights.

    Args:
        name: a key of `VARIANTS`.
        image: symbolic float32 `[N,side,side,3]`, scaled to (pixel - 127) / 128; None for an input of its own.
        side: height and width, at least 32.
        top: with its ImageNet classifier of 1000 classes, for images of the side that it was trained on.

    Returns:
        keras.Model; its output is the feature map `[N,h,w,1280]`, 32 times smaller than the image, or with `top` the
        1000 probabilities.
    """
    keras = require_keras(f"the model {name}")
    layers, variant = keras.layers, VARIANTS[name]
    side = variant.side if top else side
    x = image = keras.Input((side, side, 3)) if image is None else image
    x = _convolution(layers, x, _STEM, kernel=3, stride=2, name="stem")
    x = layers.ReLU(6, name="stem_activation")(x)
    every = blocks(name)
    for index, block in enumerate(every):
        x = _block(layers, x, block, drop=_STOCHASTIC_DEPTH * index / len(every))
    x = _convolution(layers, x, _HEAD, kernel=1, name="top")
    x = layers.ReLU(6, name="top_activation")(x)
    if top:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = layers.Dropout(variant.dropout, name="top_dropout")(x)
        x = layers.Dense(1000, activation="softmax", name="predictions")(x)
    return keras.Model(keras.utils.get_source_inputs(image), x, name=f"{name.replace('-', '_')}_backbone")


def _convolution(layers: Any, x: Any, filters: int, *, kernel: int, stride: int = 1, name: str) -> Any:
    initializer = {"class_name": "VarianceScaling", "config": {"scale": 2.0, "mode": "fan_out"}}
    x = layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=initializer,
        name=f"{name}_conv",
    )(x)
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=f"{name}_bn")(x)


def _block(layers: Any, x: Any, block: Block, *, drop: float) -> Any:
    name, before = block.name, x
    if block.expansion > 1:
        x = _convolution(layers, x, x.shape[-1] * block.expansion, kernel=1, name=f"{name}_expand")
        x = layers.ReLU(6, name=f"{name}_expand_activation")(x)
    x = layers.DepthwiseConv2D(
        block.kernel,
        strides=block.stride,
        padding="same",
        use_bias=False,
        depthwise_initializer={"class_name": "VarianceScaling", "config": {"scale": 2.0, "mode": "fan_out"}},
        name=f"{name}_depthwise_conv",
    )(x)
    x = layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=f"{name}_depthwise_bn")(x)
    x = layers.ReLU(6, name=f"{name}_depthwise_activation")(x)
    x = _convolution(layers, x, block.filters, kernel=1, name=f"{name}_project")
    if block.stride > 1 or before.shape[-1] != block.filters:
        return x
    if drop:
        x = layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{name}_drop")(x)
    return layers.Add(name=f"{name}_add")([x, before])
