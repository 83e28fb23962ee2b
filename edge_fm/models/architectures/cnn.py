"""Plain CNNs of published Fashion-MNIST reports: convolutions and pools, then dense layers.

The layouts are those that give the reports' parameter counts exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from edge_fm.models.architectures.parts import check_activation, check_share, classifier_head
from edge_fm.models.keras_import import require_keras
from edge_fm_runtime.errors import ModelError


@dataclass(frozen=True)
class CnnLayout:
    """One network: a row of `LAYOUTS`.

    Attributes:
        filters: of each 3x3 convolution.
        pools: convolutions, counted from 1, that a 2x2 max-pool follows.
        dense: units of each dense layer before the last.
        padding: of the convolutions.
        batch_norm: after each convolution and each dense layer.
        drops: what each rate of `dropout` stands behind, such as "conv1" or "dense2"; behind the pool, where there is
            one.
        dropout: the published rates.
        l2: of every convolution's kernel.
        he_first: whether the first kernel is drawn He-normal, and not Glorot-uniform as the others.
    """

    filters: tuple[int, ...]
    pools: tuple[int, ...]
    dense: tuple[int, ...]
    padding: Literal["valid", "same"] = "valid"
    batch_norm: bool = False
    drops: tuple[str, ...] = ()
    dropout: tuple[float, ...] = ()
    l2: float = 0.0
    he_first: bool = False


_FOUR = ("conv2", "conv3", "conv4", "dense1", "dense2")

LAYOUTS: dict[str, CnnLayout] = {
    "cnn2-dense": CnnLayout((32, 64), (1, 2), (256, 512)),
    "cnn3": CnnLayout((32, 64, 128), (1, 2), (128,), he_first=True),
    "cnn3-bn": CnnLayout(
        (32, 64, 128),
        (1, 2),
        (128,),
        batch_norm=True,
        drops=("conv1", "conv2", "conv3", "dense1"),
        dropout=(0.25, 0.25, 0.4, 0.3),
        he_first=True,
    ),
    # The report names the places of its rates, not the rates.
    "cnn3-dropout": CnnLayout(
        (32, 64, 128),
        (1, 2),
        (256, 256, 512),
        drops=("conv1", "conv2", "dense1", "dense2"),
        dropout=(0.25, 0.25, 0.25, 0.25),
    ),
    "cnn4-bn": CnnLayout(
        (32, 32, 64, 128), (2, 4), (512, 128), batch_norm=True, drops=_FOUR, dropout=(0.2, 0.2, 0.3, 0.4, 0.4)
    ),
    "cnn4-l2": CnnLayout(
        (32, 32, 64, 128),
        (2, 4),
        (512, 128),
        padding="same",
        batch_norm=True,
        drops=_FOUR,
        dropout=(0.25, 0.25, 0.4, 0.5, 0.5),
        l2=0.001,
    ),
}


def build(
    name: str,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    dropout: float | Sequence[float] | None = None,
    l2: float | None = None,
    activation: str = "relu",
) -> Any:
    """Build a network of `LAYOUTS`, not compiled, with fresh weights.

    Args:
        name: a row of `LAYOUTS`, such as "cnn3-bn".
        input_shape: height, width, channels of the uint8 images.
        classes: number of probabilities.
        dropout: one rate for all of the layout's places, or one for each; None for the published ones.
        l2: weight of the convolution kernels' squares in the loss; None for the published one.
        activation: of every layer but the last, one of Keras's.

    Returns:
        keras.Model: uint8 `[N,H,W,C]` named "image" -> float32 `[N,classes]` named "probabilities".

    Raises:
        ModelError: the images are too small, or an option cannot be.
    """
    keras = require_keras(f"the model {name}")
    layout = LAYOUTS[name]
    _check_size(name, layout, input_shape)
    check_activation(activation)
    rates = dict(zip(layout.drops, _rates(name, layout, dropout), strict=True))
    penalty = layout.l2 if l2 is None else l2
    if not 0 <= penalty < float("inf"):
        raise ModelError(f"l2 is {penalty}; it must be a number of at least 0.")

    layers = keras.layers
    image = keras.Input(input_shape, dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)
    for number, filters in enumerate(layout.filters, start=1):
        step = f"conv{number}"
        x = layers.Conv2D(
            filters,
            3,
            padding=layout.padding,
            activation=activation,
            kernel_initializer="he_normal" if layout.he_first and number == 1 else "glorot_uniform",
            kernel_regularizer=keras.regularizers.L2(penalty) if penalty else None,
            name=step,
        )(x)
        if layout.batch_norm:
            x = layers.BatchNormalization(name=f"{step}_bn")(x)
        if number in layout.pools:
            x = layers.MaxPooling2D(name=f"{step}_pool")(x)
        if rates.get(step):
            x = layers.Dropout(rates[step], name=f"{step}_dropout")(x)
    x = layers.Flatten(name="flatten")(x)
    for number, units in enumerate(layout.dense, start=1):
        step = f"dense{number}"
        x = layers.Dense(units, activation=activation, name=step)(x)
        if layout.batch_norm:
            x = layers.BatchNormalization(name=f"{step}_bn")(x)
        if rates.get(step):
            x = layers.Dropout(rates[step], name=f"{step}_dropout")(x)
    return keras.Model(image, classifier_head(x, classes), name=name.replace("-", "_"))


def _rates(name: str, layout: CnnLayout, dropout: float | Sequence[float] | None) -> tuple[float, ...]:
    if dropout is None:
        return layout.dropout
    given = (dropout,) * len(layout.drops) if isinstance(dropout, int | float) else tuple(dropout)
    if len(given) != len(layout.drops) or not given:
        places = f"behind {', '.join(layout.drops)}" if layout.drops else "nowhere"
        raise ModelError(f"dropout is {dropout!r}; {name} drops {places}.", hint="Give one rate, or one for each.")
    for rate in given:
        check_share("dropout", rate)
    return given


def _check_size(name: str, layout: CnnLayout, input_shape: tuple[int, int, int]) -> None:
    """Refuse images of which nothing would be left before the dense layers."""
    smallest = 1
    for number in range(len(layout.filters), 0, -1):
        smallest *= 2 if number in layout.pools else 1
        smallest += 2 if layout.padding == "valid" else 0
    if min(input_shape[:2]) < smallest:
        raise ModelError(
            f"{name} cannot take images of {input_shape[0]}x{input_shape[1]} pixels; "
            f"it needs at least {smallest}x{smallest}.",
            hint="Give it larger images (shape = [height, width, channels] in the recipe's [data]).",
        )
