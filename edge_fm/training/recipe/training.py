"""[training] and [distillation] of a recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from edge_fm.training.recipe.checks import check, check_choice

Precision = Literal["float32", "mixed_bfloat16"]
Keep = Literal["best", "last"]
ClassWeights = Literal["none", "balanced", "square-root"]
SelectBy = Literal["accuracy", "macro_f1", "balanced_accuracy", "loss", "map"]


@dataclass(frozen=True)
class TrainingPart:
    """[training]: for how long, in which batches, and which weights are saved.

    Attributes:
        epochs: passes over the training images.
        batch_size: images of one step.
        label_smoothing: share of each target that is spread over all classes; of a multi-label model, that is drawn to
            0.5.
        ema: decay of the running average of the weights that is evaluated and saved in their place, such as 0.999;
            0 saves the weights themselves.
        steps: updates in all; a run turns them into whole epochs of its data, and writes these into its recipe. 0 takes
            `epochs`.
        head_epochs: epochs in which the fresh head alone is fitted first, on the stored features of the backbone
            (which starts from trained weights) for the images as they are; then the rest follows.
        keep: the weights of which epoch: that with the best validation figure of `select_by`, or the last one. The last
            is as good where the rate ends at 0, and a few validation images select badly.
        select_by: the validation figure of the best epoch, trial or combination: accuracy, macro_f1 (mean F1 of the
            classes), balanced_accuracy (mean recall of the classes), or loss (the lowest); of a multi-label model
            accuracy (share of the labels that are right at a score of 0.5), macro_f1, loss, or map (mean average
            precision).
        class_weights: "balanced" weighs each image by the inverse of its class's count, so that all classes weigh the
            same in the loss; "square-root" by its square root, half way to that; "none" all images alike.
        balanced_sampling: draw each epoch's images so that every class has its equal share: of large classes some are
            left out, those of small ones are repeated.
        patience: stop after so many epochs in a row without a better validation loss; 0 runs all epochs. `keep`
            decides which weights are saved in either case.
        tensorboard: write TensorBoard logs into the run's folder too, beside history.csv.
        precision: of the arithmetic of training, teachers' too: float32, or mixed_bfloat16 (bfloat16 with float32
            weights). Evaluation and the saved model are float32 in any case.
        temperature: divide the logits of the finished model by the number that fits the validation images best, so that
            its scores match its accuracy; no predicted class changes. The saved model has it inside.
    """

    epochs: int = 10
    batch_size: int = 128
    label_smoothing: float = 0.0
    ema: float = 0.0
    steps: int = 0
    head_epochs: int = 0
    keep: Keep = "best"
    select_by: SelectBy = "accuracy"
    class_weights: ClassWeights = "none"
    balanced_sampling: bool = False
    patience: int = 0
    tensorboard: bool = False
    precision: Precision = "float32"
    temperature: bool = True

    def __post_init__(self) -> None:
        check(self.epochs >= 1, f"[training] epochs is {self.epochs}; it must be at least 1.")
        check(self.batch_size >= 1, f"[training] batch_size is {self.batch_size}; it must be at least 1.")
        check(
            0 <= self.label_smoothing < 1,
            f"[training] label_smoothing is {self.label_smoothing}; supported: at least 0 and below 1.",
        )
        check(
            0 <= self.ema < 1,
            f"[training] ema is {self.ema}; supported: a decay above 0 and below 1, or 0 for none.",
            "0.999 averages over about the last 1,000 steps.",
        )
        check(self.patience >= 0, f"[training] patience is {self.patience}; supported: 0 (off) or more epochs.")
        check(self.steps >= 0, f"[training] steps is {self.steps}; supported: 0 (as `epochs` says) or more updates.")
        check(self.head_epochs >= 0, f"[training] head_epochs is {self.head_epochs}; supported: 0 (none) or more.")
        check_choice(self.keep, get_args(Keep), "keep")
        check_choice(self.select_by, get_args(SelectBy), "select_by")
        check_choice(self.class_weights, get_args(ClassWeights), "class_weights")
        check(
            not self.balanced_sampling or self.class_weights == "none",
            "[training] balanced_sampling and class_weights both balance the classes; together they would do it twice.",
            "Leave one of them out.",
        )
        check_choice(self.precision, get_args(Precision), "precision")


@dataclass(frozen=True)
class DistillationPart:
    """[distillation]: learn from the predictions of trained models too (Hinton et al. 2015).

    The loss is `(1 - weight) * hard + weight * temperature**2 * soft`: hard is the cross-entropy with the labels, soft
    the Kullback-Leibler divergence from the teachers' predictions, both softened by the temperature. The teachers see
    the very images that the student sees, as augmented; of photo-like ones what they were before.

    Attributes:
        teacher: run folders, .keras files or names of trained models of the package, whose probabilities are averaged;
            none for no distillation.
        temperature: divides the logits of both sides in the soft loss.
        weight: share of the soft loss.
        views: with 0 the teachers predict for every batch. With a number, training repeats so many differently
            augmented epochs, each time in another order of batches, and the teachers' predictions for them are stored
            on disk for this and every other run that shows the same images (as in TinyViT, Wu et al. 2022): a large
            teacher then costs its time for so many epochs alone. What `photo` makes of them is new in every epoch.
        sha256: of each teacher's .keras file; a run writes them into its recipe, and a file that is not the one that is
            written there is refused.
    """

    teacher: tuple[str, ...] = ()
    temperature: float = 1.0
    weight: float = 0.5
    views: int = 0
    sha256: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check(all(self.teacher), "[distillation] teacher is empty.", "Give a run folder or a .keras file.")
        check(
            0 < self.temperature < math.inf,
            f"[distillation] temperature is {self.temperature}; it must be a number above 0.",
            "1 leaves the predictions as they are, 4 softens them much.",
        )
        check(
            0 < self.weight <= 1,
            f"[distillation] weight is {self.weight}; supported: a share above 0 and at most 1.",
            "Leave `teacher` out to learn without one.",
        )
        check(self.views >= 0, f"[distillation] views is {self.views}; supported: 0 (ever new) or more epochs.")
        check(
            len(self.sha256) in {0, len(self.teacher)},
            f"[distillation] has {len(self.teacher)} teachers but {len(self.sha256)} hashes.",
            "Leave sha256 out; a run fills it in.",
        )
