"""What decides a training run, as data: frozen dataclasses that check themselves.

`recipe_file` reads and writes them as TOML; `fit.train` runs them.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from edge_fm.models import FREEZE_WORDS, find_model
from edge_fm_runtime.errors import RecipeError
from edge_fm_runtime.metadata import PhotoSpec

OptimizerName = Literal["sgd", "rmsprop", "adam", "adamw", "muon"]
ScheduleName = Literal["constant", "cosine", "one-cycle", "step", "exponential", "plateau"]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """A hint that names the nearest known name, or None."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"Did you mean {near[0]!r}?" if near else None


def _check(condition: bool, message: str, hint: str | None = None) -> None:
    if not condition:
        raise RecipeError(message, hint=hint)


def _check_choice(value: str, choices: tuple[str, ...], what: str) -> None:
    if value not in choices:
        raise RecipeError(
            f"There is no {what} {value!r}. Supported: {', '.join(choices)}.", hint=nearest(value, choices)
        )


def _finite(value: float) -> bool:
    return math.isfinite(value)


@dataclass(frozen=True)
class ModelPart:
    """[model]: which one, and from which weights.

    Attributes:
        name: of the registry of `edge_fm.models`.
        weights: "none" (fresh), "imagenet" for models with a backbone, or a .weights.h5, .h5 or .keras file.
        options: the model family's own, such as `dropout`.
        freeze: what is not trained: "backbone", "none", names of layers or stages, or "auto": the backbone (but for
            the stages that the model's publication trains) where it does not start from fresh weights.
        unfreeze: layers or stages that are trained nevertheless.
    """

    name: str = "edgenet-s"
    weights: str = "none"
    options: Mapping[str, Any] = field(default_factory=dict)
    freeze: str | tuple[str, ...] = "auto"
    unfreeze: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        entry = find_model(self.name)
        _check(bool(self.weights), "[model] weights is empty; supported: none, or a file.")
        _check(
            self.weights != "imagenet" or entry.backbone,
            f"There are no ImageNet weights for {self.name}: it was never trained on ImageNet. Supported: none, FILE.",
            "Leave `weights` out to train from fresh weights.",
        )
        _check(
            not isinstance(self.freeze, str) or self.freeze in FREEZE_WORDS,
            f"[model] freeze is {self.freeze!r}. Supported: {', '.join(FREEZE_WORDS)}, or a list of names.",
            nearest(self.freeze, FREEZE_WORDS) if isinstance(self.freeze, str) else None,
        )
        _check(all(self.unfreeze), "[model] unfreeze holds an empty name.")
        _check(
            entry.backbone or self.freeze != "backbone",
            f"[model] freeze is 'backbone', and {self.name} has none. Supported: none, or names of layers or stages.",
        )
        _check(
            not self.unfreeze or not isinstance(self.freeze, str) or (entry.backbone and self.freeze != "none"),
            f"[model] unfreeze names {', '.join(self.unfreeze)}, but nothing of {self.name} is frozen.",
            "Leave `unfreeze` out, or freeze something.",
        )


@dataclass(frozen=True)
class DataPart:
    """[data]: what to learn from.

    Attributes:
        source: a name or path that `edge_fm.data.load_dataset` takes.
        shape: height, width, channels that images are brought to; empty for the source's own.
        validation: share of the training images that is held out to choose the best epoch.
    """

    source: str = "fashion-mnist"
    shape: tuple[int, ...] = ()
    validation: float = 0.1

    def __post_init__(self) -> None:
        _check(bool(self.source), "[data] source is empty.", "`edgefm data info --help` lists the kinds of source.")
        _check(
            len(self.shape) in {0, 3} and all(side >= 1 for side in self.shape),
            f"[data] shape is {list(self.shape)}; supported: [height, width, channels], or [] for the source's own.",
        )
        _check(
            0 < self.validation <= 0.5,
            f"[data] validation is {self.validation}; supported: a share above 0 and at most 0.5.",
            "0.1 holds out every tenth training image.",
        )


@dataclass(frozen=True)
class TrainingPart:
    """[training]: how long and in which portions.

    Attributes:
        epochs: passes over the training images.
        batch_size: images of one step.
        label_smoothing: share of each target that is spread over all classes.
    """

    epochs: int = 10
    batch_size: int = 128
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        _check(self.epochs >= 1, f"[training] epochs is {self.epochs}; it must be at least 1.")
        _check(self.batch_size >= 1, f"[training] batch_size is {self.batch_size}; it must be at least 1.")
        _check(
            0 <= self.label_smoothing < 1,
            f"[training] label_smoothing is {self.label_smoothing}; supported: at least 0 and below 1.",
        )


@dataclass(frozen=True)
class OptimizerPart:
    """[optimizer]: how a gradient becomes a step.

    Attributes:
        name: sgd (Nesterov), rmsprop, adam, adamw, or muon (orthogonalized momentum for convolutions,
            AdamW for the rest).
        learning_rate: the schedule's highest; None for the optimizer's usual one.
        weight_decay: decoupled, a step takes `learning_rate * weight_decay` of each kernel; None for the usual one.
        momentum: for sgd, rmsprop and muon; None for the usual one.
        vector_ratio: muon alone: learning rate of what is no convolution, relative to `learning_rate`.
    """

    name: OptimizerName = "adamw"
    learning_rate: float | None = None
    weight_decay: float | None = None
    momentum: float | None = None
    vector_ratio: float | None = None

    def __post_init__(self) -> None:
        _check_choice(self.name, get_args(OptimizerName), "optimizer")
        rate = self.learning_rate
        _check(
            rate is None or (_finite(rate) and rate > 0),
            f"[optimizer] learning_rate is {rate}; it must be a number above 0.",
        )
        decay = self.weight_decay
        _check(
            decay is None or (_finite(decay) and decay >= 0),
            f"[optimizer] weight_decay is {decay}; it must be at least 0.",
        )
        _check(
            self.momentum is None or 0 <= self.momentum < 1,
            f"[optimizer] momentum is {self.momentum}; supported: at least 0 and below 1.",
        )
        _check(
            self.momentum is None or self.name not in {"adam", "adamw"},
            f"[optimizer] momentum belongs to sgd, rmsprop and muon; {self.name} has none.",
            "Leave it out.",
        )
        ratio = self.vector_ratio
        _check(
            ratio is None or (_finite(ratio) and ratio > 0), f"[optimizer] vector_ratio is {ratio}; it must be above 0."
        )
        _check(
            ratio is None or self.name == "muon",
            f"[optimizer] vector_ratio belongs to muon; the optimizer is {self.name}.",
            "Leave it out.",
        )


@dataclass(frozen=True)
class SchedulePart:
    """[schedule]: the learning rate over the run.

    Attributes:
        name: constant; cosine (to 0); one-cycle (up in a line, then down in a line to 0); step and exponential
            (times `factor` every `every` epochs, at once or smoothly); plateau (times `factor` after `every`
            epochs without a better validation loss).
        warmup: share of the run in which the rate rises in a line from 0; one-cycle's way up.
        factor: for step, exponential, plateau.
        every: epochs, for step, exponential, plateau.
    """

    name: ScheduleName = "one-cycle"
    warmup: float = 0.0
    factor: float = 0.1
    every: int = 5

    def __post_init__(self) -> None:
        _check_choice(self.name, get_args(ScheduleName), "schedule")
        _check(0 <= self.warmup < 1, f"[schedule] warmup is {self.warmup}; supported: at least 0 and below 1.")
        _check(
            not (self.warmup and self.name == "plateau"),
            "[schedule] warmup does not go with plateau, whose rate is one for a whole epoch.",
            "Leave warmup out.",
        )
        _check(0 < self.factor < 1, f"[schedule] factor is {self.factor}; supported: above 0 and below 1.")
        _check(self.every >= 1, f"[schedule] every is {self.every}; it must be at least 1 epoch.")


@dataclass(frozen=True)
class AugmentationPart:
    """[augmentation]: what is done to training images, never to validation or test images.

    Attributes:
        flip: mirror half of them left to right.
        shift: move each by up to so many pixels in both directions, the edge filled with `fill` of [photo].
        erase: share of images of which a random rectangle is filled likewise.
        clean_epochs: the last so many epochs see the images as they are, flips aside.
    """

    flip: bool = False
    shift: int = 0
    erase: float = 0.0
    clean_epochs: int = 0

    def __post_init__(self) -> None:
        _check(self.shift >= 0, f"[augmentation] shift is {self.shift}; it must be at least 0 pixels.")
        _check(0 <= self.erase <= 1, f"[augmentation] erase is {self.erase}; supported: a share from 0 to 1.")
        _check(self.clean_epochs >= 0, f"[augmentation] clean_epochs is {self.clean_epochs}; it must be at least 0.")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run; the same recipe and data give the same result on one machine.

    Attributes:
        name: what runs are called by.
        description: one line for a person.
        seed: of the split, the weights, the order, the augmentation and dropout.
        photo: how photos become images of this kind; goes into the model's metadata.

    Example:
        >>> from edge_fm.training import Recipe, TrainingPart
        >>> Recipe(training=TrainingPart(epochs=3)).training.epochs
        3
    """

    name: str = "custom"
    description: str = ""
    seed: int = 0
    model: ModelPart = field(default_factory=ModelPart)
    data: DataPart = field(default_factory=DataPart)
    training: TrainingPart = field(default_factory=TrainingPart)
    optimizer: OptimizerPart = field(default_factory=OptimizerPart)
    schedule: SchedulePart = field(default_factory=SchedulePart)
    augmentation: AugmentationPart = field(default_factory=AugmentationPart)
    photo: PhotoSpec = field(default_factory=PhotoSpec)

    def __post_init__(self) -> None:
        _check(bool(self.name) and "/" not in self.name, f"The recipe's name is {self.name!r}; it names a folder.")
        _check(0 <= self.seed < 2**32, f"seed is {self.seed}; supported: 0 to {2**32 - 1}.")
        _check(
            self.augmentation.clean_epochs <= self.training.epochs,
            f"[augmentation] clean_epochs is {self.augmentation.clean_epochs}, "
            f"of {self.training.epochs} epochs in all.",
        )
        _check(0 <= self.photo.fill <= 255, f"[photo] fill is {self.photo.fill}; supported: 0 to 255.")
