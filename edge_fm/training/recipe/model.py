"""[model] of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_fm.models import FREEZE_OPTIONS, find_model, find_name
from edge_fm.models.freezing import frozen_parts
from edge_fm.training.recipe.checks import check, nearest


@dataclass(frozen=True)
class ModelPart:
    """[model]: which one, and from which weights.

    Attributes:
        name: of the registry of `edge_fm.models`; for backbones capitals, hyphens and underscores do not matter.
        weights: "none" (fresh), "imagenet" for models with a backbone, or a .weights.h5, .h5 or .keras file.
        options: the model family's own, such as `dropout`.
        freeze: what is not trained: "backbone", "none", names of layers or stages, or "auto": the backbone (but for
            the stages that the model's publication trains) where it does not start from fresh weights.
        unfreeze: layers or stages that are trained nevertheless.
        freeze_until: the first layer or stage that is trained, such as "block4a"; all before it is frozen, in place of
            `freeze`. Empty freezes by `freeze`.
        frozen_statistics: leave the batch normalization of the backbone as it is, its statistics, scales and offsets:
            a few photos make bad ones.
    """

    name: str = "edgenet-s"
    weights: str = "none"
    options: Mapping[str, Any] = field(default_factory=dict)
    freeze: str | tuple[str, ...] = "auto"
    unfreeze: tuple[str, ...] = ()
    freeze_until: str = ""
    frozen_statistics: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", find_name(self.name))
        entry = find_model(self.name)
        check(bool(self.weights), "[model] weights is empty; supported: none, or a file.")
        check(
            self.weights != "imagenet" or entry.backbone,
            f"There are no ImageNet weights for {self.name}: it was never trained on ImageNet. Supported: none, FILE.",
            "Leave `weights` out to train from fresh weights.",
        )
        check(
            not isinstance(self.freeze, str) or self.freeze in FREEZE_OPTIONS,
            f"[model] freeze is {self.freeze!r}. Supported: {', '.join(FREEZE_OPTIONS)}, or a list of names.",
            nearest(self.freeze, FREEZE_OPTIONS) if isinstance(self.freeze, str) else None,
        )
        check(all(self.unfreeze), "[model] unfreeze holds an empty name.")
        check(
            entry.backbone or self.freeze != "backbone",
            f"[model] freeze is 'backbone', and {self.name} has none. Supported: none, or names of layers or stages.",
        )
        check(
            not self.unfreeze or not isinstance(self.freeze, str) or (entry.backbone and self.freeze != "none"),
            f"[model] unfreeze names {', '.join(self.unfreeze)}, but nothing of {self.name} is frozen.",
            "Leave `unfreeze` out, or freeze something.",
        )

        check(
            not self.freeze_until or (self.freeze in ("auto", "none") and not self.unfreeze),
            f"[model] freeze_until is {self.freeze_until!r}, and freeze or unfreeze name layers too.",
            "Use freeze_until alone, or the others.",
        )
        check(
            not self.freeze_until or self.weights != "none",
            f"[model] freeze_until is {self.freeze_until!r}, but weights is none: what is frozen would stay random.",
            "Start from trained weights, or leave freeze_until out.",
        )
        check(
            not self.frozen_statistics or (entry.backbone and self.weights != "none"),
            "[model] frozen_statistics is true, but there are none: "
            f"{self.name} {'starts from fresh weights' if entry.backbone else 'has no backbone'}.",
            "Leave it out, or start from trained weights.",
        )

    @property
    def frozen(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of layers and stages that are frozen, and of those of them that are trained nevertheless."""
        if self.freeze_until:
            return (), ()
        return frozen_parts(self.name, weights=self.weights, freeze=self.freeze, unfreeze=self.unfreeze)
