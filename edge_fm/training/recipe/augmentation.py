"""[augmentation] of a recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from edge_fm.training.recipe.checks import check, check_choice
from edge_fm_runtime.artifacts.metadata_parser import MAX_SIDE

Policy = Literal["none", "trivial", "rand"]
MAX_MAGNITUDE = 30


@dataclass(frozen=True)
class AugmentationPart:
    """[augmentation]: what is done to training images, never to validation or test images, in this order.

    Pixels that come in from outside or are erased get the value `fill` of [photo]. Every amount is drawn for each
    image, evenly within what is given.

    Attributes:
        crop: show a random part of at least this share of each image's area, as large as the whole; its sides' ratio is
            that of the image times 3/4 to 4/3 (random resized crop, Szegedy et al. 2015). 0 crops nothing.
        rotation: turn each by up to so many degrees, either way.
        zoom: scale each by a factor between 1 less and 1 plus this share.
        perspective: tilt each: move every corner inwards by up to this share of half a side.
        shift: move each by up to so many pixels in both directions.
        flip: mirror half of them left to right.
        brightness: add or take up to this share of 255.
        contrast: stretch the distances from the image's mean by a factor between 1 less and 1 plus this share.
        saturation: strengthen or weaken colours by a factor between 1 less and 1 plus this share.
        hue: turn each colour by up to this share of the circle of hues, such as 0.05.
        grey: share of images whose colour is taken away.
        blur: share of images that are blurred, by a radius of 0.1 to 2 pixels.
        policy: "trivial" applies one operation of a fixed list at any strength to each (TrivialAugment, Müller and
            Hutter 2021), "rand" several at one strength (RandAugment, Cubuk et al. 2020).
        policy_operations: how many operations "rand" applies.
        policy_magnitude: their strength, 0 to 30.
        erase: share of images of which a random rectangle is erased (random erasing, Zhong et al. 2017).
        cutout: side in pixels of a square that is erased from each, its centre anywhere in the image, so that the
            border may cut it (DeVries and Taylor 2017).
        mixup: alpha of the Beta distribution from which the share is drawn in which an image and its target are mixed
            with another one's of the batch (Zhang et al. 2018), such as 0.2; 0 mixes nothing.
        cutmix: alpha of the Beta distribution from which the share of an image's area is drawn that shows another one
            of the batch, the targets mixed by area (CutMix, Yun et al. 2019), such as 1; 0 mixes nothing. With mixup,
            half of the batches get each.
        photo: share of the images that look as if photographed and cut out of the photo: turned, lit, printed on, with
            bits of background. They are not shifted or erased besides.
        photo_spread: labels whose objects have sides that may be turned outwards for that, as sleeves are.
        photo_paired: labels whose objects may be doubled and turned as far as one likes for that, as shoes are.
        clean_epochs: the last so many epochs see the images as they are, flips and `photo` aside.
    """

    crop: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0
    perspective: float = 0.0
    shift: int = 0
    flip: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grey: float = 0.0
    blur: float = 0.0
    policy: Policy = "none"
    policy_operations: int = 2
    policy_magnitude: int = 9
    erase: float = 0.0
    cutout: int = 0
    mixup: float = 0.0
    cutmix: float = 0.0
    photo: float = 0.0
    photo_spread: tuple[str, ...] = ()
    photo_paired: tuple[str, ...] = ()
    clean_epochs: int = 0

    def __post_init__(self) -> None:
        check(
            0 <= self.rotation <= 180,
            f"[augmentation] rotation is {self.rotation}; supported: 0 to 180 degrees.",
        )
        for name in ("crop", "zoom", "perspective", "brightness", "contrast", "saturation"):
            share = getattr(self, name)
            check(0 <= share < 1, f"[augmentation] {name} is {share}; supported: a share, at least 0 and below 1.")
        for name in ("cutout", "shift"):
            pixels = getattr(self, name)
            check(
                0 <= pixels <= MAX_SIDE,
                f"[augmentation] {name} is {pixels}; supported: 0 to {MAX_SIDE} pixels.",
            )
        for name in ("erase", "grey", "blur", "photo"):
            share = getattr(self, name)
            check(0 <= share <= 1, f"[augmentation] {name} is {share}; supported: a share from 0 to 1.")
        check(0 <= self.hue <= 0.5, f"[augmentation] hue is {self.hue}; supported: 0 to 0.5, half of the circle.")
        for name, usual in (("mixup", "0.1 to 0.4"), ("cutmix", "1")):
            alpha = getattr(self, name)
            check(
                0 <= alpha < math.inf,
                f"[augmentation] {name} is {alpha}; it must be a number, at least 0.",
                f"Usual: {usual}.",
            )
        check_choice(self.policy, get_args(Policy), "policy")
        check(
            1 <= self.policy_operations <= 10,
            f"[augmentation] policy_operations is {self.policy_operations}; supported: 1 to 10.",
        )
        check(
            0 <= self.policy_magnitude <= MAX_MAGNITUDE,
            f"[augmentation] policy_magnitude is {self.policy_magnitude}; supported: 0 to {MAX_MAGNITUDE}.",
        )
        named = self.photo_spread + self.photo_paired
        check(
            self.photo > 0 or not named,
            f"[augmentation] photo_spread and photo_paired name {', '.join(named)}, but photo is 0.",
            "Set photo to the share of photo-like images, such as 0.5.",
        )
        check(self.clean_epochs >= 0, f"[augmentation] clean_epochs is {self.clean_epochs}; it must be at least 0.")
