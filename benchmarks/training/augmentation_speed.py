"""How many images a second are augmented: by the recipe's own way (NumPy and Pillow), and by Keras's layers.

    python benchmarks/training/augmentation_speed.py FOLDER [--side N] [--batch N] [--rounds N] [--json]

FOLDER holds one folder of photos for each label. Both do a random resized crop, a rotation, a flip and colour jitter;
RandAugment is timed on its own. The ways take turns, a batch each, and the median counts. Keras's layers run inside a
compiled function, on as many threads as TensorFlow takes; the recipe's way runs in one thread, as in the training loop.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from PIL import Image

from edge_fm.training import AugmentationPart
from edge_fm.training.input_pipeline.augmentation import augment
from edge_fm_runtime.photos.suffixes import is_photo_name

JITTER = AugmentationPart(
    crop=0.4, rotation=15.0, flip=True, brightness=0.15, contrast=0.3, saturation=0.3, hue=0.02, grey=0.1
)
RAND = AugmentationPart(policy="rand")


def photos(folder: Path, count: int, side: int) -> np.ndarray:
    """uint8 `[N,side,side,3]` of some photos."""
    paths = sorted(path for path in folder.rglob("*") if is_photo_name(path.name))
    selected = paths[:: max(1, len(paths) // count)][:count]
    return np.stack([np.asarray(Image.open(path).convert("RGB").resize((side, side))) for path in selected])


def keras_layers(side: int) -> dict[str, Any]:
    """The same operations as layers, by the names of the rows."""
    import keras

    layers = keras.layers
    chain = [
        # Zooms and moves, as Keras 3.15 has no layer that crops and scales by area and ratio.
        layers.RandomCrop(int(0.8 * side), int(0.8 * side), seed=0),
        layers.Resizing(side, side),
        layers.RandomRotation(15 / 360, fill_mode="constant", seed=0),
        layers.RandomFlip("horizontal", seed=0),
        layers.RandomColorJitter(
            value_range=(0, 255),
            brightness_factor=0.15,
            contrast_factor=0.3,
            saturation_factor=(0.35, 0.65),
            hue_factor=0.02,
            seed=0,
        ),
        layers.RandomGrayscale(0.1, seed=0),
    ]
    return {"jitter": chain, "rand": [layers.RandAugment(seed=0)]}


def compiled(chain: list[Any]) -> Callable[[np.ndarray], np.ndarray]:
    """The layers in training, in one compiled function."""
    import tensorflow as tf

    @tf.function  # type: ignore[untyped-decorator]
    def call(images: Any) -> Any:
        x = tf.cast(images, tf.float32)
        for layer in chain:
            x = layer(x, training=True)
        return x

    return lambda images: call(images).numpy()


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", type=int, default=192)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    images = photos(arguments.folder, arguments.batch, arguments.side)
    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "recipe, jitter": lambda batch: augment(batch, JITTER, np.random.default_rng(0)),
        "recipe, RandAugment": lambda batch: augment(batch, RAND, np.random.default_rng(0)),
    }
    made = keras_layers(arguments.side)
    ways |= {"Keras, jitter": compiled(made["jitter"]), "Keras, RandAugment": compiled(made["rand"])}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(arguments.rounds + 1):
        for name, way in ways.items():
            began = perf_counter()
            way(images)
            if turn:  # the first one compiles
                seconds[name].append(perf_counter() - began)
    rows = {name: round(len(images) / statistics.median(taken), 1) for name, taken in seconds.items()}
    # One image many times: does every copy get an operation of its own?
    copies = np.repeat(images[:1], len(images), axis=0)
    different = {name: len(np.unique(way(copies).reshape(len(copies), -1), axis=0)) for name, way in ways.items()}
    if arguments.json:
        print(json.dumps({"images_per_s": rows, "different_results_of_one_image": different}, indent=2))
        return
    for name, rate in rows.items():
        print(f"{name:22} {rate:8.1f} images/s   {different[name]:3} different results of {len(copies)} copies")


if __name__ == "__main__":
    main()
