"""[augmentation] of a recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_fm.training.recipe.checks import check
from edge_fm_runtime.artifacts.metadata_parser import MAX_SIDE


@dataclass(frozen=True)
class AugmentationPart:
    """[augmentation]: what is done to training images, never to validation or test images, in this order.

    Pixels that come in from outside or are erased get the value `fill` of [photo]. Every amount is drawn for each
    image, evenly within what is given.

    Attributes:
        rotation: turn each by up to so many degrees, either way.
        zoom: scale each by a factor between 1 less and 1 plus this share.
        shift: move each by up to so many pixels in both directions.
        flip: mirror half of them left to right.
        brightness: add or take up to this share of 255.
        contrast: stretch the distances from the image's mean by a factor between 1 less and 1 plus this share.
        erase: share of images of which a random rectangle is erased (random erasing, Zhong et al. 2017).
        cutout: side in pixels of a square that is erased from each, its centre anywhere in the image, so that the
            border may cut it (DeVries and Taylor 2017).
        mixup: alpha of the Beta distribution from which the share is drawn in which an image and its target are mixed
            with another one's of the batch (Zhang et al. 2018), such as 0.2; 0 mixes nothing.
        photo: share of the images that look as if photographed and cut out of the photo: turned, lit, printed on, with
            bits of background. They are not shifted or erased besides.
        photo_spread: labels whose objects have sides that may be turned outwards for that, as sleeves are.
        photo_paired: labels whose objects may be doubled and turned as far as one likes for that, as shoes are.
        clean_epochs: the last so many epochs see the images as they are, flips and `photo` aside.
    """

    rotation: float = 0.0
    zoom: float = 0.0
    shift: int = 0
    flip: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    erase: float = 0.0
    cutout: int = 0
    mixup: float = 0.0
    photo: float = 0.0
    photo_spread: tuple[str, ...] = ()
    photo_paired: tuple[str, ...] = ()
    clean_epochs: int = 0

    def __post_init__(self) -> None:
        check(
            0 <= self.rotation <= 180,
            f"[augmentation] rotation is {self.rotation}; supported: 0 to 180 degrees.",
        )
        for name in ("zoom", "brightness", "contrast"):
            share = getattr(self, name)
            check(0 <= share < 1, f"[augmentation] {name} is {share}; supported: a share, at least 0 and below 1.")
        for name in ("cutout", "shift"):
            pixels = getattr(self, name)
            check(
                0 <= pixels <= MAX_SIDE,
                f"[augmentation] {name} is {pixels}; supported: 0 to {MAX_SIDE} pixels.",
            )
        check(0 <= self.erase <= 1, f"[augmentation] erase is {self.erase}; supported: a share from 0 to 1.")
        check(
            0 <= self.mixup < math.inf,
            f"[augmentation] mixup is {self.mixup}; it must be a number, at least 0.",
            "Usual are 0.1 to 0.4.",
        )
        check(0 <= self.photo <= 1, f"[augmentation] photo is {self.photo}; supported: a share from 0 to 1.")
        named = self.photo_spread + self.photo_paired
        check(
            self.photo > 0 or not named,
            f"[augmentation] photo_spread and photo_paired name {', '.join(named)}, but photo is 0.",
            "Set photo to the share of photo-like images, such as 0.5.",
        )
        check(self.clean_epochs >= 0, f"[augmentation] clean_epochs is {self.clean_epochs}; it must be at least 0.")
