"""[data] of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge_fm.data import Preparation
from edge_fm.training.recipe.checks import check
from edge_fm_runtime.artifacts.metadata_parser import MAX_CHANNELS, MAX_SIDE

READING = ("skip_unreadable", "group", "label_column")
"""Keys that say how a source is read, and again when the model is evaluated on it."""


@dataclass(frozen=True)
class DataPart:
    """[data]: what to learn from.

    Attributes:
        source: a name or path that `edge_fm.data.load_dataset` takes.
        shape: height, width, channels that images are brought to; empty for the source's own.
        validation: share of the training images that is held out to select the best epoch; not used where the source
            has a validation split of its own.
        validation_seed: which images these are; None for the recipe's own seed. With one number for all, teachers and
            students of every seed hold out the same images, and validation figures of taught runs mean something.
        relabel: class -> the class that it becomes, such as `{ "Sandal" = "shoe", "Sneaker" = "shoe" }`; several may
            become one.
        classes: names, after `relabel`, of the classes that are kept, in the order of their labels; empty for all.
        pool: put training, validation and test images together, for `split` to divide again.
        split: images for training, validation and test, as three counts or three shares, each class in its share; in
            place of the source's own splits and of `validation`. Empty keeps these.
        split_seed: which images go to test, and which `samples` are taken; the same whatever the recipe's seed, so that
            runs of several seeds are tested on the same images.
        deduplicate: drop training images that occur before, or in the source's validation or test split.
        samples: use so many of the training images, each class in its share; 0 for all. Validation images come out of
            them.
        skip_unreadable: share of the images of a folder or a manifest that may be left out because they cannot be
            read; training lists them, and fails where there are more.
        group: what images come from (a person, a camera, a day), which every split keeps together: a column of a
            manifest, `FILE:COLUMN` of a file in an image folder, or a pattern of the files' paths whose parentheses
            hold the group. Empty for a manifest's column called group; "none" for no groups.
        label_column: column of a manifest that holds the labels; empty to tell by the columns' names.
        multi_label: images have any number of labels, in a manifest: with `|` between in its label column, or in
            columns of 0 and 1, which `label_column` names with commas between. The model gets a sigmoid for each label
            in place of the softmax, and learns by binary cross-entropy.
        other_things: a second source, images of what is none of the classes, whatever its labels: the model learns to
            find all classes equally probable there, so that its scores are low. Those of groups that are held out are
            left out. Keras counts them in the accuracy on training batches. Empty for none.
        other_things_weight: what such an image weighs in the loss, beside 1 on average for one of a class.
    """

    source: str = "fashion-mnist"
    shape: tuple[int, ...] = ()
    validation: float = 0.1
    validation_seed: int | None = None
    relabel: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    pool: bool = False
    split: tuple[float, ...] = ()
    split_seed: int = 0
    deduplicate: bool = False
    samples: int = 0
    skip_unreadable: float = 0.0
    group: str = ""
    label_column: str = ""
    multi_label: bool = False
    other_things: str = ""
    other_things_weight: float = 0.5

    def __post_init__(self) -> None:
        check(bool(self.source), "[data] source is empty.", "`edgefm data info --help` lists the kinds of source.")
        check(
            len(self.shape) in {0, 3}
            and all(1 <= side <= MAX_SIDE for side in self.shape[:2])
            and all(1 <= count <= MAX_CHANNELS for count in self.shape[2:]),
            f"[data] shape is {list(self.shape)}; supported: [height, width, channels], up to {MAX_SIDE} pixels by "
            f"{MAX_SIDE} of {MAX_CHANNELS} channels, or [] for the source's own.",
        )
        check(
            0 < self.validation <= 0.5,
            f"[data] validation is {self.validation}; supported: a share above 0 and at most 0.5.",
            "0.1 holds out every tenth training image.",
        )
        check(
            self.validation_seed is None or 0 <= self.validation_seed < 2**32,
            f"[data] validation_seed is {self.validation_seed}; supported: 0 to {2**32 - 1}, or left out for the "
            "recipe's own seed.",
        )
        check(
            all(isinstance(new, str) and new for new in self.relabel.values()),
            f"[data] relabel is {dict(self.relabel)}; it takes a class to the name of a class.",
            'Such as relabel = { "Sandal" = "shoe", "Sneaker" = "shoe" }.',
        )
        check(all(self.classes), "[data] classes holds an empty name.")
        self._check_split()
        check(self.split_seed >= 0, f"[data] split_seed is {self.split_seed}; it must be at least 0.")
        check(
            0 <= self.skip_unreadable < 1,
            f"[data] skip_unreadable is {self.skip_unreadable}; supported: a share of 0 (none) up to, but not, 1.",
            "0.02 leaves out up to two images of a hundred.",
        )
        check(
            0 < self.other_things_weight <= 10,
            f"[data] other_things_weight is {self.other_things_weight}; supported: above 0, at most 10.",
            "Leave other_things out to learn from none.",
        )
        check(self.samples >= 0, f"[data] samples is {self.samples}; supported: 0 (all) or more images.")

    def _check_split(self) -> None:
        split, counts = list(self.split), all(isinstance(part, int) and part >= 1 for part in self.split)
        shares = all(0 < part < 1 for part in self.split) and sum(self.split) <= 1 + 1e-9
        check(
            not split or (len(split) == 3 and (counts or shares)),
            f"[data] split is {split}; supported: three whole numbers, or three shares whose sum is at most 1.",
            "Training, validation and test, such as [48000, 6000, 6000] or [0.8, 0.1, 0.1].",
        )
        check(
            bool(split) or not self.pool,
            "[data] pool is true, but split does not say how the pooled images are divided.",
            "Such as split = [48000, 6000, 6000].",
        )

    @property
    def preparation(self) -> Preparation:
        """What is done to the source's data before training, and again before the model is evaluated."""
        return Preparation(
            relabel=dict(self.relabel),
            classes=self.classes,
            pool=self.pool,
            split=self.split,
            split_seed=self.split_seed,
            deduplicate=self.deduplicate,
            samples=self.samples,
        )
