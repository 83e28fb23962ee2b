"""Real tiny Keras models, trained for a second or two, and images for them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from edge_fm_export.context import EvaluationSet

TINY_LABELS = {
    "grey": ("T-shirt/top", "Ankle boot", "Bag", "Été, long"),
    "colour": ("red panda", "bird", "T-shirt/top", "x"),
}
TINY_SHAPES = {"grey": (28, 28, 1), "colour": (12, 10, 3)}


@dataclass(frozen=True)
class TinyRun:
    """A run folder as `edgefm train` leaves it.

    Attributes:
        folder: holds model.keras and metrics.json.
        labels: of its classes.
        shape: height, width, channels.
    """

    folder: Path
    labels: tuple[str, ...]
    shape: tuple[int, int, int]

    @property
    def file(self) -> Path:
        """The model's file."""
        return self.folder / "model.keras"


def tiny_images(
    shape: tuple[int, int, int], n: int, *, seed: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Noise with one bright quadrant, whose place is the class (0..3)."""
    random = np.random.default_rng(seed)
    labels = np.arange(n, dtype=np.int64) % 4
    images = random.integers(0, 120, (n, *shape), dtype=np.uint8)
    height, width = shape[0] // 2, shape[1] // 2
    for image, label in zip(images, labels, strict=True):
        top, left = (label // 2) * height, (label % 2) * width
        image[top : top + height, left : left + width] += 110
    return images, labels


def tiny_set(shape: tuple[int, int, int], n: int, *, seed: int, labelled: bool = True) -> EvaluationSet:
    """An evaluation set of `tiny_images`."""
    from edge_fm_export.context import EvaluationSet

    images, labels = tiny_images(shape, n, seed=seed)
    digest = sha256(images.tobytes() + labels.tobytes()).hexdigest()
    return EvaluationSet(f"quadrants {seed}", images, labels if labelled else None, digest)


def build_tiny(keras: Any, shape: tuple[int, int, int], classes: int) -> Any:
    """A residual CNN of a few thousand parameters that follows our contract."""
    layers = keras.layers
    image = keras.Input(shape, dtype="uint8", name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="stem")(x)
    x = layers.BatchNormalization(momentum=0.8, name="stem_bn")(x)
    x = layers.ReLU(name="stem_relu")(x)
    y = layers.Conv2D(8, 3, padding="same", use_bias=False, name="block")(x)
    y = layers.BatchNormalization(momentum=0.8, name="block_bn")(y)
    x = layers.ReLU(name="block_relu")(layers.Add(name="add")([x, y]))
    x = layers.AveragePooling2D(3, padding="same", name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(classes, name="logits")(x)
    return keras.Model(image, layers.Activation("softmax", name="probabilities")(x), name="tiny")


def make_run(folder: Path, kind: str) -> TinyRun:
    """Train the tiny model of `kind` and leave it in `folder`."""
    from edge_fm_export.compat.tensorflow_setup import require_tensorflow

    _, keras = require_tensorflow("the tests")
    shape, labels = TINY_SHAPES[kind], TINY_LABELS[kind]
    keras.utils.set_random_seed(0)
    model = build_tiny(keras, shape, len(labels))
    images, classes = tiny_images(shape, 512, seed=1)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(images, classes, batch_size=64, epochs=4, verbose=0)
    folder.mkdir()
    model.save(folder / "model.keras")
    metrics = {
        "run": folder.name,
        "model": f"tiny-{kind}",
        "labels": list(labels),
        "input_shape": list(shape),
        "seed": 0,
        "epochs": 4,
        "recipe_hash": "ab" * 32,
        "data": {"name": "quadrants", "source": "quadrants", "hash": "cd" * 32},
        "photo": {"mode": "fit", "background": "any", "fill": 7},
    }
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    return TinyRun(folder, labels, shape)
