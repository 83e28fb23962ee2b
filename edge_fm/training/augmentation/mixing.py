"""Mixtures of two training images and of their targets: mixup and CutMix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_fm.training.recipe import AugmentationPart


def mix(
    images: NDArray[np.uint8], targets: NDArray[np.float32], part: AugmentationPart, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Mix a batch as the recipe says; where it asks for mixup and CutMix, each batch gets one of them.

    Args:
        images: uint8 `[N,H,W,C]`; never written to.
        targets: float32 `[N,classes]`.
        part: the recipe's [augmentation].
        rng: decides everything; what is not asked for draws nothing from it.

    Returns:
        Images and targets.

    Example:
        >>> import numpy as np
        >>> from edge_fm.training import AugmentationPart
        >>> from edge_fm.training.augmentation.mixing import mix
        >>> images, targets = np.zeros((2, 8, 8, 1), np.uint8), np.eye(2, dtype="f4")
        >>> mix(images, targets, AugmentationPart(mixup=0.2), np.random.default_rng(0))[1].sum(axis=1).tolist()
        [1.0, 1.0]
    """
    cut = bool(part.cutmix) and (not part.mixup or rng.random() < 0.5)
    if cut:
        return _cutmix(images, targets, part.cutmix, rng)
    return _mixup(images, targets, part.mixup, rng) if part.mixup else (images, targets)


def _mixup(
    images: NDArray[np.uint8], targets: NDArray[np.float32], alpha: float, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The share of an image's own is drawn for each from Beta(alpha, alpha), or what is left to 1 where that is more.

    (Zhang et al. 2018.)
    """
    drawn = rng.beta(alpha, alpha, len(images)).astype(np.float32)
    own = np.maximum(drawn, 1 - drawn)[:, None]
    partner = rng.permutation(len(images))
    flat = images.reshape(len(images), -1)
    mixed = np.rint(flat * own + flat[partner] * (1 - own)).astype(np.uint8).reshape(images.shape)
    return mixed, targets * own + targets[partner] * (1 - own)


def _cutmix(
    images: NDArray[np.uint8], targets: NDArray[np.float32], alpha: float, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A rectangle of another image of the batch, whose share of the area is drawn from Beta(alpha, alpha).

    Targets are mixed by the areas that are really there (Yun et al. 2019).
    """
    count, height, width, _ = images.shape
    side = np.sqrt(rng.beta(alpha, alpha, count))
    partner = rng.permutation(count)
    mixed, pasted = images.copy(), np.empty((count, 1), np.float32)
    for index in range(count):
        tall, wide = round(height * side[index]), round(width * side[index])
        middle_y, middle_x = rng.integers(height), rng.integers(width)
        rows = slice(max(0, middle_y - tall // 2), min(height, middle_y - tall // 2 + tall))
        columns = slice(max(0, middle_x - wide // 2), min(width, middle_x - wide // 2 + wide))
        mixed[index, rows, columns] = images[partner[index], rows, columns]
        pasted[index] = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    return mixed, targets * (1 - pasted) + targets[partner] * pasted
