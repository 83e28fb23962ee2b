"""A dataset that shows a recipe's augmentation: each operation alone, and all of them together, on the same images."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_fm_runtime.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    from edge_fm.data import Dataset, Split
    from edge_fm.training import AugmentationPart, Recipe

AS_THEY_ARE, ALL = "as they are", "all together"
# Shares of images that are changed: alone, an operation is shown on every image.
_SHARES = frozenset({"grey", "blur", "erase", "photo"})
# Keys that say more about another one.
_DETAILS = frozenset({"clean_epochs", "policy_operations", "policy_magnitude", "photo_spread", "photo_paired"})


def augmented_images(dataset: Dataset, recipe: Recipe, split: str, *, columns: int) -> Dataset:
    """A row of images for each operation of a recipe's [augmentation], as a class of its own.

    Args:
        dataset: whose images are changed.
        recipe: whose [augmentation], seed and fill are used.
        split: of the dataset.
        columns: images of a row, from as many classes as there are.

    Returns:
        A dataset whose split `train` holds the rows, one after another.

    Raises:
        DataError: the split does not exist.
        TrainingError: the recipe cannot change these images.
    """
    from edge_fm.data.dataset import Split, make_dataset
    from edge_fm.training import AugmentationPart
    from edge_fm.training.input_pipeline.checks import check_augmentation

    if split not in dataset.splits:
        raise DataError(f"There is no split {split!r} in {dataset.name}; it has {', '.join(dataset.splits)}.")
    part, plain = recipe.augmentation, AugmentationPart()
    check_augmentation(part, dataset.shape)
    shown = _spread_over_classes(dataset.splits[split], columns)
    rows = {AS_THEY_ARE: plain}
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if field.name not in _DETAILS and value != getattr(plain, field.name):
            rows[f"{field.name} {_written(value)}".rstrip()] = _alone(part, field.name)
    if len(rows) > 1:
        rows[ALL] = part
    images = np.concatenate([_changed(shown, row, recipe, dataset.label_names) for row in rows.values()])
    labels = np.repeat(np.arange(len(rows)), len(shown))
    made = Split(images, labels)
    return make_dataset(f"{dataset.name}, as the recipe {recipe.name} changes it", "", tuple(rows), made, made)


def _alone(part: AugmentationPart, name: str) -> AugmentationPart:
    from edge_fm.training import AugmentationPart

    details = {key: getattr(part, key) for key in _DETAILS if key.startswith(f"{name}_")}
    changed: Any = {name: 1.0 if name in _SHARES else getattr(part, name), **details}
    return AugmentationPart(**changed)


def _changed(shown: Split, part: AugmentationPart, recipe: Recipe, labels: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    from edge_fm.training.augmentation.mixing import mix
    from edge_fm.training.input_pipeline.augmentation import augment
    from edge_fm.training.input_pipeline.photo_augmentation import photo_classes, photograph

    rng = np.random.default_rng(recipe.seed)
    images = augment(shown.images, part, rng, fill=recipe.photo.fill)
    photos = round(part.photo * len(images))
    if photos:
        classes, own = photo_classes(part, labels), shown.labels[:photos]
        images[:photos] = photograph(
            shown.images[:photos],
            rng,
            fill=recipe.photo.fill,
            mirror=part.flip,
            spread=classes.spread[own],
            paired=classes.paired[own],
        )
    targets = np.eye(len(labels), dtype=np.float32)[shown.labels]
    return mix(images, targets, part, rng)[0]


def _spread_over_classes(split: Split, count: int) -> Split:
    """So many images, the first of each class, then the second of each, and so on."""
    turns = np.zeros(len(split), np.int64)
    seen: dict[int, int] = {}
    for index, label in enumerate(np.asarray(split.labels).tolist()):
        turns[index] = seen[label] = seen.get(label, -1) + 1
    return split.take(np.lexsort((split.labels, turns))[:count])


def _written(value: Any) -> str:
    return "" if value is True else f"{value:g}" if isinstance(value, float) else str(value)
