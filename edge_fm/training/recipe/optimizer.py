"""[optimizer] and [schedule] of a recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from edge_fm.training.recipe.checks import check, check_choice

OptimizerName = Literal["sgd", "rmsprop", "adam", "adamw", "muon"]
ScheduleName = Literal["constant", "cosine", "one-cycle", "step", "exponential", "plateau"]


@dataclass(frozen=True)
class UsualSettings:
    """What an optimizer takes for the keys that a recipe leaves out; see `OptimizerPart`."""

    learning_rate: float
    weight_decay: float = 0.0
    momentum: float = 0.0
    vector_ratio: float = 1.0


USUAL: dict[str, UsualSettings] = {
    "sgd": UsualSettings(0.1, weight_decay=5e-3, momentum=0.9),
    "rmsprop": UsualSettings(1e-3),
    "adam": UsualSettings(1e-3),
    "adamw": UsualSettings(2e-3, weight_decay=0.05),
    "muon": UsualSettings(8e-3, weight_decay=0.05, momentum=0.95, vector_ratio=0.5),
}
"""What a recipe that names only the optimizer gets."""


@dataclass(frozen=True)
class OptimizerPart:
    """[optimizer]: how a gradient becomes a step.

    Attributes:
        name: sgd, rmsprop, adam, adamw, or muon (orthogonalized momentum for convolutions,
            AdamW for the rest).
        learning_rate: the schedule's highest; None for the optimizer's usual one.
        weight_decay: decoupled, a step takes `learning_rate * weight_decay` of each kernel; None for the usual one.
        momentum: for sgd, rmsprop and muon; None for the usual one.
        nesterov: for sgd and muon: whether momentum looks ahead; None for yes, where there is momentum.
        vector_ratio: muon alone: learning rate of what is not a convolution, relative to `learning_rate`.
        backbone_rate: learning rate of the backbone's last layer, relative to `learning_rate`, which the head has.
        first_layer_rate: learning rate of the backbone's first layer, relative to its last one's; between them it falls
            evenly with depth (by a factor from layer to layer).
        rates: layers or stages -> their learning rate, relative to `learning_rate`, in place of what these say, such as
            { "stem" = 0.0, "block7a" = 0.5 }.
    """

    name: OptimizerName = "adamw"
    learning_rate: float | None = None
    weight_decay: float | None = None
    momentum: float | None = None
    nesterov: bool | None = None
    vector_ratio: float | None = None
    backbone_rate: float = 1.0
    first_layer_rate: float = 1.0
    rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_choice(self.name, get_args(OptimizerName), "optimizer")
        rate = self.learning_rate
        check(
            rate is None or (math.isfinite(rate) and rate > 0),
            f"[optimizer] learning_rate is {rate}; it must be a number above 0.",
        )
        decay = self.weight_decay
        check(
            decay is None or (math.isfinite(decay) and decay >= 0),
            f"[optimizer] weight_decay is {decay}; it must be at least 0.",
        )
        check(
            self.momentum is None or 0 <= self.momentum < 1,
            f"[optimizer] momentum is {self.momentum}; supported: at least 0 and below 1.",
        )
        check(
            self.momentum is None or self.name not in {"adam", "adamw"},
            f"[optimizer] momentum belongs to sgd, rmsprop and muon; {self.name} has none.",
            "Leave it out.",
        )
        check(
            self.nesterov is None or self.name in {"sgd", "muon"},
            f"[optimizer] nesterov belongs to sgd and muon; the optimizer is {self.name}.",
            "Leave it out.",
        )
        check(
            not (self.nesterov and self.momentum == 0),
            "[optimizer] nesterov is true, but momentum is 0.",
            "Leave nesterov out, or give a momentum such as 0.9.",
        )
        ratio = self.vector_ratio
        check(
            ratio is None or (math.isfinite(ratio) and ratio > 0),
            f"[optimizer] vector_ratio is {ratio}; it must be above 0.",
        )
        check(
            ratio is None or self.name == "muon",
            f"[optimizer] vector_ratio belongs to muon; the optimizer is {self.name}.",
            "Leave it out.",
        )

        for name in ("backbone_rate", "first_layer_rate"):
            share = getattr(self, name)
            check(0 < share <= 10, f"[optimizer] {name} is {share}; supported: above 0, at most 10.")
        for layer, share in self.rates.items():
            check(
                isinstance(share, int | float) and not isinstance(share, bool) and 0 <= share <= 10,
                f"[optimizer] rates: {layer} has {share!r}; supported: a number, 0 to 10.",
            )

    @property
    def one_rate(self) -> bool:
        """Whether all layers learn at one rate."""
        return self.backbone_rate == 1 and self.first_layer_rate == 1 and not self.rates

    @property
    def peak_rate(self) -> float:
        """The schedule's highest learning rate: the recipe's own, or the optimizer's usual one."""
        return USUAL[self.name].learning_rate if self.learning_rate is None else self.learning_rate


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
        after: for step, exponential: epochs at the highest rate before these begin.
    """

    name: ScheduleName = "one-cycle"
    warmup: float = 0.0
    factor: float = 0.1
    every: int = 5
    after: int = 0

    def __post_init__(self) -> None:
        check_choice(self.name, get_args(ScheduleName), "schedule")
        check(0 <= self.warmup < 1, f"[schedule] warmup is {self.warmup}; supported: at least 0 and below 1.")
        check(
            not (self.warmup and self.name == "plateau"),
            "[schedule] warmup does not go with plateau, whose rate is one for a whole epoch.",
            "Leave warmup out.",
        )
        check(0 < self.factor < 1, f"[schedule] factor is {self.factor}; supported: above 0 and below 1.")
        check(self.every >= 1, f"[schedule] every is {self.every}; it must be at least 1 epoch.")
        check(self.after >= 0, f"[schedule] after is {self.after}; it must be at least 0 epochs.")
        check(
            not self.after or self.name in {"step", "exponential"},
            f"[schedule] after belongs to step and exponential; the schedule is {self.name}.",
            "Leave it out.",
        )
