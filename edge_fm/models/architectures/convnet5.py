"""convnet5: two 5x5 convolutions and a wide dense layer, as in many a PyTorch tutorial."""

from __future__ import annotations

from typing import Any

from edge_fm.models.architectures.parts import check_counts, check_share, classifier_head
from edge_fm.models.keras_import import require_keras
from edge_fm_runtime.errors import ModelError

_FILTERS = (32, 64)
# PyTorch's default; Keras's own is 0.3.
_SLOPE = 0.01


def build(
    name: str,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    dense: int = 1000,
    dropout: float = 0.0,
) -> Any:
    """Build convnet5, not compiled, with fresh weights.

    Args:
        name: "convnet5".
        input_shape: height, width, channels of the uint8 images.
        classes: number of probabilities.
        dense: units of the dense layer.
        dropout: share of the last feature map that is dropped in training.

    Returns:
        keras.Model: uint8 `[N,H,W,C]` named "image" -> float32 `[N,classes]` named "probabilities".

    Raises:
        ModelError: the images are smaller than 4x4, or an option cannot be.
    """
    keras = require_keras(f"the model {name}")
    check_counts("dense", [dense])
    check_share("dropout", dropout)
    smallest = 2 ** len(_FILTERS)
    if min(input_shape[:2]) < smallest:
        raise ModelError(
            f"{name} cannot take images of {input_shape[0]}x{input_shape[1]} pixels; "
            f"it needs at least {smallest}x{smallest}.",
            hint="Give it larger images (shape = [height, width, channels] in the recipe's [data]).",
        )
    layers = keras.layers
    image = keras.Input(input_shape, dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)
    for number, filters in enumerate(_FILTERS, start=1):
        x = layers.Conv2D(filters, 5, padding="same", name=f"conv{number}")(x)
        x = layers.LeakyReLU(_SLOPE, name=f"conv{number}_relu")(x)
        x = layers.BatchNormalization(name=f"conv{number}_bn")(x)
        x = layers.MaxPooling2D(name=f"conv{number}_pool")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(dense, name="dense1")(x)
    x = layers.LeakyReLU(_SLOPE, name="dense1_relu")(x)
    return keras.Model(image, classifier_head(x, classes), name=name)
