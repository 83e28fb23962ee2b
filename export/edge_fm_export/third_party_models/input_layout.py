"""What a third-party model takes: the size of its images, and how pixels are arranged for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_fm_export.compat.keras_internals import all_layers
from edge_fm_runtime.errors import ModelError

_HINT = "A classifier of images takes one tensor [N,height,width,channels]."
_CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class ModelInput:
    """The images of a model, and the tensor that it takes for them.

    Attributes:
        height: of an image, in pixels.
        width: of an image, in pixels.
        channels: of an image.
        dtype: of the tensor.
        shape: of the tensor for one image: `(height, width, channels)`, `(height, width)` where the model has no
            axis for channels, or flat.
        batch: the size of the batches that it takes, or None for any.
    """

    height: int
    width: int
    channels: int
    dtype: str
    shape: tuple[int, ...]
    batch: int | None = None

    @property
    def arranged(self) -> bool:
        """Whether images must be brought into another shape for the model."""
        return self.shape != (self.height, self.width, self.channels)


def model_input(model: Any, path: Path, input_size: tuple[int, int] | None) -> ModelInput:
    """Read what `model` takes.

    Args:
        model: a Keras model.
        path: its file, for messages.
        input_size: height and width, for models that take any size, or flat vectors.

    Raises:
        ModelError: it takes no image, or one whose size is open; the hint names the option that gives it.
    """
    shapes, dtypes, names = _inputs(model)
    if not shapes:
        raise ModelError(
            f"{path} has no input shape: it was saved before it was called on an image.",
            hint="Call the model on one image, or model.build((None, height, width, channels)), and save it again.",
        )
    if len(shapes) != 1:
        inputs = ", ".join(f"{name} {describe_shape(s)}" for name, s in zip(names, shapes, strict=True))
        raise ModelError(
            f"{path} takes {len(shapes)} inputs: {inputs}.",
            hint=_HINT + " Wrap it in one that computes the other inputs, or makes them constants.",
        )
    taken = _of_shape(shapes[0], dtypes[0], model, path, input_size)
    return replace(taken, batch=shapes[0][0])


def _of_shape(
    shape: tuple[int | None, ...], dtype: str, model: Any, path: Path, input_size: tuple[int, int] | None
) -> ModelInput:
    if len(shape) == 2 or (len(shape) == 3 and shape[2] in _CHANNELS):
        return _flat(shape, dtype, path, input_size)
    if len(shape) == 3:
        height, width = _size(shape, shape[1], shape[2], path, input_size)
        return ModelInput(height, width, 1, dtype, (height, width))
    if len(shape) != 4:
        raise ModelError(f"{path} takes {describe_shape(shape)}, not an image.", hint=_HINT)
    _, rows, columns, channels = shape
    if (rows in _CHANNELS and (channels is None or channels > 4)) or _channels_first(model):
        raise ModelError(
            f"{path} takes channels first, {describe_shape(shape)}; supported is channels last, "
            "[N,height,width,channels].",
            hint="Build it with keras.config.set_image_data_format('channels_last') and set its weights.",
        )
    if channels is None:
        raise ModelError(f"{path} takes {describe_shape(shape)}: the number of channels is open.", hint=_HINT)
    height, width = _size(shape, rows, columns, path, input_size)
    return ModelInput(height, width, channels, dtype, (height, width, channels))


def arrange(keras: Any, pixels: Any, taken: ModelInput) -> Any:
    """Bring `[N,H,W,C]` into the shape that the model takes, row by row."""
    return keras.layers.Reshape(taken.shape, name="arrange_pixels")(pixels) if taken.arranged else pixels


def describe_shape(shape: Sequence[int | None]) -> str:
    """A shape for a message, such as `[N,28,28,1]`; an open side is a question mark."""
    return "[" + ",".join(("N" if i == 0 else "?") if s is None else str(s) for i, s in enumerate(shape)) + "]"


def _flat(shape: tuple[int | None, ...], dtype: str, path: Path, input_size: tuple[int, int] | None) -> ModelInput:
    """The input of a model that takes a vector of pixels; `input_size` gives their rows and columns."""
    described = describe_shape(shape)
    if any(side is None for side in shape[1:]):
        raise ModelError(f"{path} takes {described}, not an image.", hint=_HINT)
    sides = tuple(int(side or 0) for side in shape[1:])
    values = math.prod(sides)
    if input_size is None:
        sides_of = (math.isqrt(values // c) for c in _CHANNELS if math.isqrt(values // c) ** 2 * c == values)
        example = next((f"{side}x{side}" for side in sides_of), "HEIGHTxWIDTH")
        raise ModelError(
            f"{path} takes {described}, a flat vector of {values:,} values and not an image.",
            hint=f"If they are the pixels of an image, give its size: edgefm export {path} --input-size {example}",
        )
    height, width = input_size
    # The last of two sides is the number of channels.
    fits = [c for c in _CHANNELS if height * width * c == values and (len(sides) == 1 or sides[1] == c)]
    if min(input_size) < 1 or not fits:
        raise ModelError(
            f"The input size {height}x{width} was asked for; {path} takes {described}, {values:,} values, which is not "
            f"{height} x {width} pixels of 1, 3 or 4 channels.",
            hint="Give the size of the images that it was trained on: --input-size HEIGHTxWIDTH",
        )
    return ModelInput(height, width, fits[0], dtype, sides)


def _size(
    shape: tuple[int | None, ...],
    height: int | None,
    width: int | None,
    path: Path,
    input_size: tuple[int, int] | None,
) -> tuple[int, int]:
    if input_size is not None:
        fixed = (height or input_size[0], width or input_size[1])
        if min(input_size) < 1 or fixed != tuple(input_size):
            raise ModelError(
                f"The input size {input_size[0]}x{input_size[1]} was asked for; {path} takes {describe_shape(shape)}.",
                hint="Leave out --input-size: the model has its own.",
            )
        return fixed
    if height is None or width is None:
        raise ModelError(
            f"{path} takes images of any size, {describe_shape(shape)}; an artifact has one.",
            hint=f"Give one, such as: edgefm export {path} --input-size 224x224",
        )
    return height, width


def _inputs(model: Any) -> tuple[list[tuple[int | None, ...]], list[str], list[str]]:
    """Shapes, dtypes and names of the inputs."""
    tensors = getattr(model, "inputs", None)
    if tensors:
        names = [getattr(t, "name", "") for t in tensors]
        return [tuple(t.shape) for t in tensors], [str(t.dtype) for t in tensors], names
    # A subclassed model knows the shape that it was built with.
    config = model.get_build_config() or {}
    shape = config.get("input_shape")
    if shape is None:
        many = config.get("shapes_dict") or {}
        shapes = [tuple(s) for s in many.values() if isinstance(s, list | tuple)]
        return shapes, ["float32"] * len(shapes), list(many)
    if isinstance(shape, list | tuple) and all(s is None or isinstance(s, int) for s in shape):
        return [tuple(shape)], [str(model.compute_dtype)], ["inputs"]
    shapes = [tuple(s) for s in (shape.values() if isinstance(shape, dict) else shape)]
    return shapes, ["float32"] * len(shapes), [str(i) for i in range(len(shapes))]


def _channels_first(model: Any) -> bool:
    return any(getattr(layer, "data_format", None) == "channels_first" for layer in all_layers(model))
