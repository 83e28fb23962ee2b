"""Transfer learning: a backbone that was trained on ImageNet under a small head.

The graph takes the data's own uint8 images and does the rest itself: resizing, grey to RGB, and what the backbone wants
done to pixels. So photos, training and device cannot differ in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from edge_fm.models.architectures.backbones import BACKBONES, build_backbone
from edge_fm.models.architectures.parts import check_counts, check_share, classifier_head
from edge_fm.models.keras_import import require_keras
from edge_fm_export.third_party_models.pixel_scaling import MODES, apply_preprocessing
from edge_fm_runtime.errors import ModelError

FEATURES = "features"
"""Name of the layer that ends a backbone: one row of numbers for each image."""


def build(
    name: str,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    size: int = 32,
    dense: Sequence[int] = (),
    dropout: float = 0.0,
) -> Any:
    """Build a ResNet or VGG under a head of flattened (ResNet-18: averaged) features and dense layers.

    Args:
        name: a row of `BACKBONES`, such as "resnet50".
        input_shape: height, width, channels (1 or 3) of the uint8 images.
        classes: number of probabilities.
        size: height and width that images are resized to for the backbone, at least 32.
        dense: units of dense layers between features and probabilities.
        dropout: share of the features that is dropped in training.

    Returns:
        keras.Model: uint8 `[N,H,W,C]` named "image" -> float32 `[N,classes]` named "probabilities"; fresh weights.

    Raises:
        ModelError: images of 2 or more than 3 channels, or an option that cannot be.
    """
    return _build(name, input_shape, classes, size, dense, dropout, average=name == "resnet18")


def build_mobilenet(
    name: str,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    alpha: float = 1.0,
    size: int = 128,
    dense: Sequence[int] = (256,),
    dropout: float = 0.5,
) -> Any:
    """Build a MobileNet under a head of averaged features, dropout and a dense layer.

    Args:
        name: "mobilenet" or "mobilenet-v2".
        input_shape: height, width, channels (1 or 3) of the uint8 images.
        classes: number of probabilities.
        alpha: width multiplier, above 0; ImageNet weights are published for a few alone.
        size: height and width that images are resized to for the backbone, at least 32.
        dense: units of dense layers between features and probabilities.
        dropout: share of the features that is dropped in training.

    Returns:
        keras.Model: uint8 `[N,H,W,C]` named "image" -> float32 `[N,classes]` named "probabilities"; fresh weights.

    Raises:
        ModelError: images of 2 or more than 3 channels, or an option that cannot be.
    """
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0.05 <= alpha <= 4:
        raise ModelError(f"alpha is {alpha!r}; it is a width multiplier, 0.05 to 4.")
    return _build(name, input_shape, classes, size, dense, dropout, average=True, alpha=float(alpha))


def build_mobilenet_v3(
    name: str,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    alpha: float = 1.0,
    size: int = 224,
    dense: Sequence[int] = (),
    dropout: float = 0.2,
) -> Any:
    """Build a MobileNetV3 under a head of averaged features and dropout; see `build_mobilenet`."""
    return build_mobilenet(
        name, input_shape=input_shape, classes=classes, alpha=alpha, size=size, dense=dense, dropout=dropout
    )


def build_averaged(
    name: str,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    size: int = 224,
    dense: Sequence[int] = (),
    dropout: float = 0.2,
) -> Any:
    """Build an EfficientNet-Lite, or any other network of keras.applications, under averaged features; see `build`."""
    return _build(name, input_shape, classes, size, dense, dropout, average=True)


def _build(
    name: str,
    input_shape: tuple[int, int, int],
    classes: int,
    size: int,
    dense: Sequence[int],
    dropout: float,
    *,
    average: bool,
    alpha: float = 1.0,
) -> Any:
    keras = require_keras(f"the model {name}")
    smallest = BACKBONES[name].smallest
    if type(size) is not int or size < smallest:
        raise ModelError(
            f"size is {size!r}; {name} takes a whole number of at least {smallest} pixels.",
            hint=f"Images of any size are resized to it: --option size={smallest} or more.",
        )
    dense = check_counts("dense", dense)
    check_share("dropout", dropout)
    layers = keras.layers
    image = keras.Input(input_shape, dtype="uint8", name="image")
    x = _prepared(name, image, size)
    x = build_backbone(name, image=x, side=size, alpha=alpha).output
    pool = layers.GlobalAveragePooling2D if average else layers.Flatten
    x = pool(name=FEATURES)(x)
    if dropout:
        x = layers.Dropout(dropout, name="head_dropout")(x)
    for number, units in enumerate(dense, start=1):
        x = layers.Dense(units, activation="relu", name=f"head_dense{number}")(x)
    return keras.Model(image, classifier_head(x, classes), name=name.replace("-", "_"))


def _prepared(name: str, image: Any, size: int) -> Any:
    """float32 `[N,size,size,3]` as the backbone wants it, from uint8 `[N,H,W,1 or 3]`."""
    keras = require_keras(f"the model {name}")
    height, width, channels = image.shape[1:]
    if channels not in (1, 3):
        raise ModelError(
            f"{name} takes grey or RGB images; these have {channels} channels.",
            hint="Set shape = [height, width, 1 or 3] in the recipe's [data].",
        )
    preprocessing = MODES[BACKBONES[name].preprocessing]
    # Floats before resizing: Keras would round resized bytes to bytes.
    x = keras.ops.cast(image, "float32")
    if (height, width) != (size, size):
        # The operation, as the layer Resizing puts layers after it into training when `model(x)` leaves `training` out.
        x = keras.ops.image.resize(x, (size, size), interpolation="bilinear")
    if channels == 1:
        x = keras.layers.Concatenate(dtype="float32", name="rgb")([x, x, x])
        preprocessing = replace(preprocessing, bgr=False)  # three times the same needs no order
    return apply_preprocessing(keras, x, preprocessing, 3, "float32")
