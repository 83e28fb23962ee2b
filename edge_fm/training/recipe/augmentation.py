"""[augmentation] of a recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_fm.training.recipe.checks import check


@dataclass(frozen=True)
class AugmentationPart:
    """[augmentation]: what is done to training images, never to validation or test images.

    Attributes:
        flip: mirror half of them left to right.
        shift: move each by up to so many pixels in both directions, the edge filled with `fill` of [photo].
        erase: share of images of which a random rectangle is filled likewise.
        mixup: alpha of the Beta distribution from which the share is drawn in which an image and its target are mixed
            with another one's of the batch (Zhang et al. 2018), such as 0.2; 0 mixes nothing.
        photo: share of the images that look as if photographed and cut out of the photo: turned, lit, printed on, with
            bits of background. They are not shifted or erased besides.
        photo_spread: labels whose objects have sides that may be turned outwards for that, as sleeves are.
        photo_paired: labels whose objects may be doubled and turned as far as one likes for that, as shoes are.
        clean_epochs: the last so many epochs see the images as they are, flips and `photo` aside.
    """

    flip: bool = False
    shift: int = 0
    erase: float = 0.0
    mixup: float = 0.0
    photo: float = 0.0
    photo_spread: tuple[str, ...] = ()
    photo_paired: tuple[str, ...] = ()
    clean_epochs: int = 0

    def __post_init__(self) -> None:
        check(self.shift >= 0, f"[augmentation] shift is {self.shift}; it must be at least 0 pixels.")
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
