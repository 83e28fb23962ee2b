"""The outputs of a layer for an image: its channels as images."""

from __future__ import annotations

import math
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edge_fm.evaluation.plots import new_figure
from edge_fm.models.keras_import import require_keras
from edge_fm_runtime.errors import ModelError
from edge_fm_runtime.system.atomic_write import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 64
"""Channels that are drawn."""


def map_layers(model: Any) -> tuple[str, ...]:
    """Names of the layers whose output is a map `[N,H,W,C]` larger than one place, in the model's order.

    Layers inside a nested model, such as the backbone of a transfer model, are not among them.
    """
    names = []
    for layer in model.layers:
        shape = _output_shape(layer)
        if shape is not None and len(shape) == 4 and (shape[1] or 2) * (shape[2] or 2) > 1:
            names.append(layer.name)
    return tuple(names)


def first_convolution(model: Any) -> str:
    """The layer that is drawn where none is named: the first convolution, else the first layer with a map.

    Raises:
        ModelError: no layer has one.
    """
    keras = require_keras("feature maps")
    names = map_layers(model)
    if not names:
        raise ModelError(f"No layer of {model.name} has a feature map to draw.")
    convolutions = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)
    return next((name for name in names if isinstance(model.get_layer(name), convolutions)), names[0])


def feature_maps(model: Any, images: npt.NDArray[np.uint8], *, layer: str) -> npt.NDArray[np.float32]:
    """The outputs of one layer.

    Args:
        model: keras.Model, functional or sequential.
        images: uint8 `[N,H,W,C]`, as the model takes them.
        layer: its name.

    Returns:
        float32 `[N,h,w,channels]`.

    Raises:
        ModelError: there is no such layer, or its output is not a map; names those that have one.
    """
    keras = require_keras("feature maps")
    names = map_layers(model)
    if layer not in names:
        near = get_close_matches(layer, names, n=1)
        exists = any(one.name == layer for one in model.layers)
        raise ModelError(
            f"Layer {layer!r} of {model.name} has no feature map."
            if exists
            else f"{model.name} has no layer {layer!r}.",
            hint=(f"Did you mean {near[0]!r}? " if near else "") + f"Layers with a map: {', '.join(names)}.",
        )
    part = keras.Model(model.inputs, model.get_layer(layer).output)
    maps: npt.NDArray[np.float32] = np.asarray(part.predict_on_batch(images), dtype=np.float32)
    return maps


def plot_feature_maps(
    image: npt.NDArray[np.uint8], maps: npt.NDArray[np.float32], path: Path, *, title: str = ""
) -> Path:
    """Draw an image and what each channel of a layer makes of it.

    Each channel has its own scale: dark is its lowest value, bright its highest; a channel that is the same everywhere
    is dark.

    Args:
        image: uint8 `[H,W,C]` with C of 1 or 3.
        maps: float32 `[h,w,channels]`; the first 64 channels are drawn.
        path: the PNG or SVG to write.
        title: above them.
    """
    figure = new_figure(*map_size(maps.shape[-1]))
    draw_feature_maps(figure, image, maps)
    if title:
        figure.suptitle(title, fontsize=9)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
    return path


def _grid(channels: int) -> tuple[int, int, int]:
    """Channels that are drawn, columns, rows."""
    count = min(channels, _MOST)
    columns = min(8, count)
    rows = math.ceil(count / columns)
    return count, columns, rows


def map_size(channels: int) -> tuple[float, float]:
    """Width and height in inches of a drawing of so many channels."""
    _, columns, rows = _grid(channels)
    return 1.9 + 0.95 * columns, max(1.9, 0.98 * rows)


def draw_feature_maps(figure: Figure, image: npt.NDArray[np.uint8], maps: npt.NDArray[np.float32]) -> None:
    """Draw what `plot_feature_maps` draws."""
    count, columns, rows = _grid(maps.shape[-1])
    halves: Any = figure.subfigures(1, 2, width_ratios=(1.9, 0.95 * columns))
    left, right = halves
    axes = left.subplots()
    axes.imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap="gray", vmin=0, vmax=255)
    axes.set_title("the image", fontsize=8)
    axes.axis("off")
    grid = right.subplots(rows, columns, squeeze=False)
    for channel, place in enumerate(grid.flat):
        place.axis("off")
        if channel < count:
            place.imshow(maps[..., channel], cmap="viridis")


def _output_shape(layer: Any) -> tuple[int | None, ...] | None:
    """None for a layer with several outputs, or one that was never called."""
    try:
        shape = layer.output.shape
    except (AttributeError, ValueError, RuntimeError):
        return None
    return tuple(shape)
