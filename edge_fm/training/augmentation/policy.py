"""TrivialAugment and RandAugment: a few operations of a fixed list, drawn anew for each image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_fm.training.augmentation.pillow_images import from_pillow, to_pillow
from edge_fm.training.recipe import AugmentationPart
from edge_fm.training.recipe.augmentation import MAX_MAGNITUDE

if TYPE_CHECKING:
    from PIL import Image

_Operation: TypeAlias = "Callable[[Image.Image, float, int], Image.Image]"


@dataclass(frozen=True)
class _Row:
    """An operation of the list.

    Attributes:
        apply: image, amount and fill -> image.
        trivial: the amount at full strength for TrivialAugment ("wide" of its publication).
        rand: likewise for RandAugment.
        signed: whether the amount is taken off as often as it is added.
    """

    apply: _Operation
    trivial: float = 0.0
    rand: float = 0.0
    signed: bool = False


def apply_policy(
    images: NDArray[np.uint8], part: AugmentationPart, rng: np.random.Generator, *, fill: int
) -> NDArray[np.uint8]:
    """Change each image by the recipe's policy.

    TrivialAugment (Müller and Hutter 2021) draws one operation and its strength; RandAugment (Cubuk et al. 2020)
    `policy_operations` of them at `policy_magnitude`.

    Args:
        images: uint8 `[N,H,W,3]`; never written to.
        part: the recipe's [augmentation].
        rng: decides everything.
        fill: value of pixels that come in from outside.

    Returns:
        uint8 `[N,H,W,3]`.
    """
    names = list(OPERATIONS)
    out = np.empty_like(images)
    for index, pixels in enumerate(images):
        (image,) = to_pillow(pixels)
        trivial = part.policy == "trivial"
        for _ in range(1 if trivial else part.policy_operations):
            row = OPERATIONS[names[rng.integers(len(names))]]
            strength = (rng.integers(MAX_MAGNITUDE + 1) if trivial else part.policy_magnitude) / MAX_MAGNITUDE
            amount = strength * (row.trivial if trivial else row.rand)
            if row.signed and rng.random() < 0.5:
                amount = -amount
            image = row.apply(image, amount, fill)
        out[index] = from_pillow([image])
    return out


def _affine(image: Image.Image, numbers: tuple[float, ...], fill: int) -> Image.Image:
    from PIL import Image

    colour = (fill,) * 3
    return image.transform(image.size, Image.Transform.AFFINE, numbers, Image.Resampling.BILINEAR, fillcolor=colour)


def _shear_x(image: Image.Image, amount: float, fill: int) -> Image.Image:
    return _affine(image, (1, amount, -amount * image.height / 2, 0, 1, 0), fill)


def _shear_y(image: Image.Image, amount: float, fill: int) -> Image.Image:
    return _affine(image, (1, 0, 0, amount, 1, -amount * image.width / 2), fill)


def _shift_x(image: Image.Image, amount: float, fill: int) -> Image.Image:
    return _affine(image, (1, 0, amount * image.width, 0, 1, 0), fill)


def _shift_y(image: Image.Image, amount: float, fill: int) -> Image.Image:
    return _affine(image, (1, 0, 0, 0, 1, amount * image.height), fill)


def _rotate(image: Image.Image, amount: float, fill: int) -> Image.Image:
    from PIL import Image

    return image.rotate(amount, Image.Resampling.BILINEAR, fillcolor=(fill,) * 3)


def _enhance(kind: str) -> _Operation:
    def apply(image: Image.Image, amount: float, fill: int) -> Image.Image:
        from PIL import ImageEnhance

        enhanced: Image.Image = getattr(ImageEnhance, kind)(image).enhance(1 + amount)
        return enhanced

    return apply


def _posterize(image: Image.Image, amount: float, fill: int) -> Image.Image:
    from PIL import ImageOps

    return ImageOps.posterize(image, 8 - round(amount))


def _solarize(image: Image.Image, amount: float, fill: int) -> Image.Image:
    from PIL import ImageOps

    return ImageOps.solarize(image, 255 - round(amount))


def _auto_contrast(image: Image.Image, amount: float, fill: int) -> Image.Image:
    from PIL import ImageOps

    return ImageOps.autocontrast(image)


def _equalize(image: Image.Image, amount: float, fill: int) -> Image.Image:
    from PIL import ImageOps

    return ImageOps.equalize(image)


def _identity(image: Image.Image, amount: float, fill: int) -> Image.Image:
    return image


OPERATIONS: dict[str, _Row] = {
    "identity": _Row(_identity),
    "shear_x": _Row(_shear_x, 0.99, 0.3, signed=True),
    "shear_y": _Row(_shear_y, 0.99, 0.3, signed=True),
    "shift_x": _Row(_shift_x, 0.3, 0.45, signed=True),
    "shift_y": _Row(_shift_y, 0.3, 0.45, signed=True),
    "rotate": _Row(_rotate, 135.0, 30.0, signed=True),
    "brightness": _Row(_enhance("Brightness"), 0.99, 0.9, signed=True),
    "saturation": _Row(_enhance("Color"), 0.99, 0.9, signed=True),
    "contrast": _Row(_enhance("Contrast"), 0.99, 0.9, signed=True),
    "sharpness": _Row(_enhance("Sharpness"), 0.99, 0.9, signed=True),
    "posterize": _Row(_posterize, 6.0, 4.0),
    "solarize": _Row(_solarize, 255.0, 255.0),
    "auto_contrast": _Row(_auto_contrast),
    "equalize": _Row(_equalize),
}
"""The list of both publications, by name; shifts are shares of a side, as photos have other sizes than theirs."""
