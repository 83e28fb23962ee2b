"""What decides a training run, as data: frozen dataclasses that check themselves, one for each table of the TOML.

`recipe_file` reads and writes them as TOML, from the types of their attributes; `fit.train` runs them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_fm.models import find_model
from edge_fm.training.recipe.augmentation import AugmentationPart
from edge_fm.training.recipe.checks import check, nearest
from edge_fm.training.recipe.data import DataPart
from edge_fm.training.recipe.model import ModelPart
from edge_fm.training.recipe.optimizer import OptimizerName, OptimizerPart, ScheduleName, SchedulePart
from edge_fm.training.recipe.training import DistillationPart, Precision, TrainingPart
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.artifacts.names import NAME_RULE, is_plain_name

__all__ = [
    "AugmentationPart",
    "DataPart",
    "DistillationPart",
    "ModelPart",
    "OptimizerName",
    "OptimizerPart",
    "Precision",
    "Recipe",
    "ScheduleName",
    "SchedulePart",
    "TrainingPart",
    "nearest",
]


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
    distillation: DistillationPart = field(default_factory=DistillationPart)
    optimizer: OptimizerPart = field(default_factory=OptimizerPart)
    schedule: SchedulePart = field(default_factory=SchedulePart)
    augmentation: AugmentationPart = field(default_factory=AugmentationPart)
    photo: PhotoSpec = field(default_factory=PhotoSpec)

    def __post_init__(self) -> None:
        check(
            is_plain_name(self.name),
            f"The recipe's name is {self.name!r}; it names a folder, so wanted are {NAME_RULE}.",
        )
        check(0 <= self.seed < 2**32, f"seed is {self.seed}; supported: 0 to {2**32 - 1}.")
        check(
            self.augmentation.clean_epochs <= self.training.epochs,
            f"[augmentation] clean_epochs is {self.augmentation.clean_epochs}, "
            f"of {self.training.epochs} epochs in all.",
        )
        check(
            not (self.distillation.teacher and self.augmentation.photo) or self.distillation.views > 0,
            "[distillation] has teachers, and [augmentation] photo is set, but views is 0.",
            "Set views of [distillation], such as 8: teachers then predict for images before they are made "
            "photo-like, which they may never have learned.",
        )
        check(
            not self.training.head_epochs or (find_model(self.model.name).backbone and self.model.weights != "none"),
            f"[training] head_epochs is {self.training.head_epochs}, but {self.model.name} has no trained backbone "
            "whose features a head could be fitted on.",
            "Start from trained weights (weights of [model]), or leave head_epochs out.",
        )
        if self.data.multi_label:
            self._check_multi_label()
        else:
            check(
                self.training.select_by != "map",
                "[training] select_by is map, which is the mean average precision of multi-label models.",
                "Set multi_label of [data], or select by accuracy, macro_f1, balanced_accuracy or loss.",
            )
        check(0 <= self.photo.fill <= 255, f"[photo] fill is {self.photo.fill}; supported: 0 to 255.")

    def _check_multi_label(self) -> None:
        """Refuse what is for one class an image."""
        data, training, augmentation = self.data, self.training, self.augmentation
        given = {
            "data.relabel": bool(data.relabel),
            "data.classes": bool(data.classes),
            "data.other_things": bool(data.other_things),
            "training.class_weights": training.class_weights != "none",
            "training.balanced_sampling": training.balanced_sampling,
            "training.select_by": training.select_by == "balanced_accuracy",
            "distillation.teacher": bool(self.distillation.teacher),
            "augmentation.mixup": augmentation.mixup > 0,
            "augmentation.cutmix": augmentation.cutmix > 0,
            "augmentation.photo_spread": bool(augmentation.photo_spread),
            "augmentation.photo_paired": bool(augmentation.photo_paired),
        }
        there = [key for key, used in given.items() if used]
        off = {"training.class_weights": "none", "training.balanced_sampling": "false", "training.select_by": "map"}
        settings = [
            f"--set {key}={off.get(key, 0 if key.startswith('augmentation') and 'photo' not in key else '[]')}"
            for key in there
            if key not in ("data.relabel", "data.other_things")
        ]
        check(
            not there,
            f"[data] multi_label is true, and {', '.join(there)} {'is' if len(there) == 1 else 'are'} for one class an "
            "image.",
            f"Leave out: {' '.join(settings)}" if settings else "Leave it out of the recipe.",
        )
