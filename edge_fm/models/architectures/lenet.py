"""LeNet-5 (LeCun et al. 1998), with everything about it that a search may want to tune."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from edge_fm.models.architectures.parts import (
    check_activation,
    check_choice,
    check_counts,
    check_share,
    classifier_head,
)
from edge_fm.models.keras_import import require_keras
from edge_fm_runtime.errors import ModelError

_SIDE = 32


def build(
    name: str,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    kernels: Sequence[int] = (6, 16),
    kernel_size: int = 5,
    dense: Sequence[int] = (120, 84),
    activation: str = "tanh",
    pooling: Literal["average", "max"] = "average",
    dropout: float = 0.0,
) -> Any:
    """Build LeNet-5, not compiled, with fresh weights.

    Images are brought to 32x32 in the graph: MNIST's 28x28, and all between, with a black border as in the paper;
    others by bilinear resizing.

    Args:
        name: "lenet5".
        input_shape: height, width, channels of the uint8 images.
        classes: number of probabilities.
        kernels: of the two convolutions.
        kernel_size: of both, odd or even, 2 to 11.
        dense: units of each dense layer before the last.
        activation: of every layer but the last, one of Keras's.
        pooling: "average" as in the paper (without its weights), or "max".
        dropout: share that is dropped in training behind each dense layer.

    Returns:
        keras.Model: uint8 `[N,H,W,C]` named "image" -> float32 `[N,classes]` named "probabilities".

    Raises:
        ModelError: an option cannot be.
    """
    keras = require_keras(f"the model {name}")
    kernels, dense = check_counts("kernels", kernels, length=2), check_counts("dense", dense)
    check_activation(activation)
    check_choice("pooling", pooling, ("average", "max"))
    check_share("dropout", dropout)
    if type(kernel_size) is not int or not 2 <= kernel_size <= 11:
        raise ModelError(f"kernel_size is {kernel_size!r}; supported: 2 to 11, so that something is left of 32x32.")

    layers = keras.layers
    pool = layers.AveragePooling2D if pooling == "average" else layers.MaxPooling2D
    image = keras.Input(input_shape, dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)
    x = _to_32(x, input_shape)
    for number, count in enumerate(kernels, start=1):
        x = layers.Conv2D(count, kernel_size, activation=activation, name=f"conv{number}")(x)
        x = pool(2, name=f"conv{number}_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    for number, units in enumerate(dense, start=1):
        x = layers.Dense(units, activation=activation, name=f"dense{number}")(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"dense{number}_dropout")(x)
    return keras.Model(image, classifier_head(x, classes), name=name)


def _to_32(x: Any, input_shape: tuple[int, int, int]) -> Any:
    layers = require_keras("LeNet-5").layers
    height, width = input_shape[:2]
    if (height, width) == (_SIDE, _SIDE):
        return x
    if all(28 <= side <= _SIDE for side in (height, width)):
        border = tuple(((_SIDE - side) // 2, _SIDE - side - (_SIDE - side) // 2) for side in (height, width))
        return layers.ZeroPadding2D(border, name="pad")(x)
    # The operation, as the layer Resizing puts dropout after it into training when `model(x)` leaves `training` out.
    return require_keras("LeNet-5").ops.image.resize(x, (_SIDE, _SIDE), interpolation="bilinear")
