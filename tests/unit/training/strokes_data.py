"""A tiny dataset of real shapes: three kinds of strokes, 12x14 pixels, learnt in seconds."""

from __future__ import annotations

import numpy as np

from edge_fm.data import Dataset, Split
from edge_fm.training import (
    AugmentationPart,
    DataPart,
    ModelPart,
    OptimizerPart,
    Recipe,
    SchedulePart,
    TrainingPart,
)
from edge_fm_runtime.artifacts.metadata import PhotoSpec

LABELS = ("T-shirt/top", "Ankle boot", "Bag")


def make_split(per_class: int, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(LABELS)), per_class)
    images = rng.integers(0, 90, (len(labels), 12, 14, 1), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        place = rng.integers(3, 9)
        if label == 0:
            image[place] += 150
        elif label == 1:
            image[:, place] += 150
        else:
            image[place - 2 : place + 2, place - 2 : place + 2] += 150
    return Split(images=images, labels=labels.astype(np.int64))


def make_dataset(train: Split, test: Split, *, content_hash: str = "0" * 64) -> Dataset:
    return Dataset(
        name="strokes", source="strokes", label_names=LABELS, train=train, test=test, content_hash=content_hash
    )


def make_strokes() -> Dataset:
    """The dataset of the fixture `strokes`, for a process of its own."""
    return make_dataset(make_split(20, seed=1), make_split(8, seed=2))


_SIZE = {"kernels": [4, 8], "dense": [16], "activation": "relu", "pooling": "max"}
SMALL = ModelPart(name="lenet5", options={**_SIZE, "dropout": 0.2})
"""Built and traced in half the time that EdgeNet takes, whose batch normalization a few tests are about."""
NORMALIZED = ModelPart(name="edgenet-n", options={"dropout": 0.2})


def make_recipe(model: ModelPart = SMALL) -> Recipe:
    """Four epochs of six batches, with everything random that a recipe can ask for."""
    return Recipe(
        name="tiny",
        seed=7,
        model=model,
        data=DataPart(source="strokes", validation=0.2),
        training=TrainingPart(epochs=4, batch_size=8, label_smoothing=0.05),
        optimizer=OptimizerPart(name="adamw", learning_rate=0.01),
        schedule=SchedulePart(name="one-cycle", warmup=0.25),
        augmentation=AugmentationPart(flip=True, shift=1, erase=0.3, clean_epochs=1),
        photo=PhotoSpec(mode="garment", background="dark", fill=0),
    )
