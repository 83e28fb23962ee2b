"""The EdgeNet family: small residual CNNs made for int8 on CPUs.

Only what every int8 kernel library runs at full speed: convolutions with batch normalization folded into them, ReLU,
addition, average pooling; channel counts are multiples of 8. Few channels see every pixel, as most of a small network's
time otherwise goes into its first, largest feature map; but they see it through a whole residual block: validation
accuracy 0.944 instead of 0.938 after 24 epochs of Fashion-MNIST for edgenet-s, at 1.5 times the multiplications. The
last convolution weighs each place of the map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge_fm.models.keras_import import require_keras
from edge_fm_runtime.errors import ModelError

# A short memory: runs of a few epochs must end with statistics of their last, settled weights.
_BN_MOMENTUM = 0.95
# Rows and columns of the last feature map, about.
_POOL_GRID = 7


@dataclass(frozen=True)
class EdgeNetSize:
    """One size of the family: a row of `SIZES`.

    Attributes:
        stem: channels of the first convolution (3x3), at full resolution.
        full: residual blocks at full resolution, as wide as the stem.
        widths: channels of each stage; every stage halves the height and the width.
        depths: residual blocks of each stage.
    """

    stem: int
    full: int
    widths: tuple[int, ...]
    depths: tuple[int, ...]


SIZES: dict[str, EdgeNetSize] = {
    "edgenet-n": EdgeNetSize(stem=8, full=1, widths=(16, 32), depths=(1, 1)),
    "edgenet-s": EdgeNetSize(stem=16, full=1, widths=(32, 64), depths=(1, 1)),
    "edgenet-m": EdgeNetSize(stem=16, full=2, widths=(64, 104), depths=(1, 1)),
    "edgenet-l": EdgeNetSize(stem=32, full=2, widths=(96, 192), depths=(2, 2)),
}


def build(name: str, *, input_shape: tuple[int, int, int], classes: int, dropout: float = 0.0) -> Any:
    """Build a model of the family, not compiled, with fresh weights.

    Args:
        name: a row of `SIZES`, such as "edgenet-s".
        input_shape: height, width, channels of the uint8 images.
        classes: number of probabilities.
        dropout: share of the last features that is dropped in training.

    Returns:
        keras.Model: uint8 `[N,H,W,C]` named "image" -> float32 `[N,classes]` named "probabilities".

    Raises:
        ModelError: the images are smaller than the network's strides, or `dropout` is not a share.
    """
    keras = require_keras(f"the model {name}")
    size = SIZES[name]
    smallest = 2 ** len(size.widths)
    if min(input_shape[:2]) < smallest:
        raise ModelError(
            f"{name} cannot take images of {input_shape[0]}x{input_shape[1]} pixels; it halves them "
            f"{len(size.widths)} times and needs at least {smallest}x{smallest}.",
            hint="Give it larger images (shape = [height, width, channels] in the recipe's [data]).",
        )
    if not 0 <= dropout < 1:
        raise ModelError(f"dropout is {dropout}; it is a share, at least 0 and below 1.")

    image = keras.Input(input_shape, dtype="uint8", name="image")
    # Scaling is in the graph, so that no device can scale otherwise than training did.
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)
    x = _conv_bn(x, size.stem, kernel=3, name="stem")
    x = keras.layers.ReLU(name="stem_relu")(x)
    for block in range(1, size.full + 1):
        x = _residual(x, size.stem, stride=1, name=f"full_block{block}")
    x = _conv_bn(x, size.widths[0], kernel=3, stride=2, name="down")
    x = keras.layers.ReLU(name="down_relu")(x)
    for stage, (width, depth) in enumerate(zip(size.widths, size.depths, strict=True), start=1):
        for block in range(1, depth + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = _residual(x, width, stride=stride, name=f"stage{stage}_block{block}")
    x = _positional_pool(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    x = keras.layers.Dense(classes, name="logits")(x)
    # Probabilities stay float32 under any mixed precision policy.
    probabilities = keras.layers.Activation("softmax", dtype="float32", name="probabilities")(x)
    return keras.Model(image, probabilities, name=name.replace("-", "_"))


def _conv_bn(x: Any, channels: int, *, kernel: int, stride: int = 1, name: str) -> Any:
    keras = require_keras("EdgeNet")
    x = keras.layers.Conv2D(
        channels,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    return keras.layers.BatchNormalization(momentum=_BN_MOMENTUM, name=f"{name}_bn")(x)


def _positional_pool(x: Any) -> Any:
    """One number a channel: a learned weight for each place, where global average pooling has the same for all.

    A depthwise convolution as large as the feature map, as in MobileFaceNet (Chen et al. 2018). Where the object
    fills a centred canvas, what is seen means more together with where: validation accuracy 0.930 instead of 0.923
    after 8 epochs of Fashion-MNIST, in an early version of edgenet-s.
    """
    keras = require_keras("EdgeNet")
    height, width, _ = x.shape[1:]
    # Weights for a coarse grid are enough, whatever the size of the images.
    if max(height, width) >= 2 * _POOL_GRID:
        strides = max(1, height // _POOL_GRID), max(1, width // _POOL_GRID)
        x = keras.layers.AveragePooling2D(strides, name="pool_grid")(x)
        height, width, _ = x.shape[1:]
    x = keras.layers.DepthwiseConv2D(
        (height, width),
        use_bias=False,
        # Training starts from plain averaging.
        depthwise_initializer=keras.initializers.Constant(1 / (height * width)),
        name="pool_conv",
    )(x)
    x = keras.layers.BatchNormalization(momentum=_BN_MOMENTUM, name="pool_bn")(x)
    return keras.layers.Flatten(name="pool_flatten")(x)


def _residual(x: Any, channels: int, *, stride: int, name: str) -> Any:
    layers = require_keras("EdgeNet").layers
    y = _conv_bn(x, channels, kernel=3, stride=stride, name=f"{name}_a")
    y = layers.ReLU(name=f"{name}_a_relu")(y)
    y = _conv_bn(y, channels, kernel=3, name=f"{name}_b")
    if stride > 1:
        # Averaging keeps what a strided 1x1 convolution would throw away (three pixels of four).
        x = layers.AveragePooling2D(stride, padding="same", name=f"{name}_skip_pool")(x)
    if x.shape[-1] != channels:
        x = _conv_bn(x, channels, kernel=1, name=f"{name}_skip")
    x = layers.Add(name=f"{name}_add")([x, y])
    return layers.ReLU(name=f"{name}_relu")(x)
