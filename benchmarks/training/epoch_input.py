"""How long an epoch takes, from `fit` to its return: batches read in EdgeFM's way, and in Keras's own.

    python benchmarks/training/epoch_input.py [--model edgenet-s] [--images 2000] [--rounds 9] [--cpus N] [--json]

The same batches of Fashion-MNIST's mini set, with the augmentation of the model's recipe, train the same compiled model
on TensorFlow, in turns. `--cpus 1` keeps the process to one CPU, where Keras's own way waits the longest at the end of
an epoch. Prints the median ratio of wall times (Keras's over EdgeFM's) and its range, and the same of processor times.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from edge_fm.data import load_dataset
from edge_fm.models import build_model
from edge_fm.models.keras_import import require_keras
from edge_fm.training import load_recipe
from edge_fm.training.input_pipeline.batches import epoch_batches
from edge_fm.training.streaming.keras_input import keras_input


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="edgenet-s", help="a model with a recipe of its name")
    parser.add_argument("--images", type=int, default=2000, help="of one epoch")
    parser.add_argument("--rounds", type=int, default=9, help="epochs in each way, after one that warms up")
    parser.add_argument("--cpus", type=int, help="of which the process may use so many; left out: all")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error(f"--rounds {arguments.rounds}: it takes at least one.")
    if arguments.cpus:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cpus])
    keras = require_keras("the benchmark")
    recipe, split = load_recipe(arguments.model), load_dataset("fashion-mnist-mini").train
    images, labels = split.images[: arguments.images], split.labels[: arguments.images]
    model = build_model(recipe.model.name, input_shape=images.shape[1:], classes=10, **recipe.model.options)
    model.compile(keras.optimizers.Adam(), "categorical_crossentropy", jit_compile=False)
    ways: dict[str, Callable[[Any], Any]] = {"edgefm": keras_input, "keras": lambda batches: batches}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for epoch in range(arguments.rounds + 1):
        for name, prepare in ways.items():
            batches = epoch_batches(images, labels, recipe, classes=10, epoch=epoch)
            began, used = time.perf_counter(), time.process_time()
            model.fit(prepare(batches), shuffle=False, verbose=0)
            if epoch:
                wall[name].append(time.perf_counter() - began)
                cpu[name].append(time.process_time() - used)
    cpus = len(os.sched_getaffinity(0))
    epoch_s = {name: statistics.median(times) for name, times in wall.items()}
    ratios = {"wall": _ratios(wall), "cpu": _ratios(cpu)}
    if arguments.json:
        result = {"model": recipe.model.name, "images": len(images), "cpus": cpus, "epoch_s": epoch_s, "ratios": ratios}
        print(json.dumps(result, indent=2))
        return
    print(f"{recipe.model.name}, {len(images):,} images, {cpus} CPUs, {arguments.rounds} epochs each")
    for name, seconds in epoch_s.items():
        print(f"{name:8} {seconds:6.2f} s an epoch")
    for title, (low, middle, high) in ratios.items():
        print(f"{title:8} keras / edgefm {middle:.2f} ({low:.2f} to {high:.2f})")


def _ratios(times: dict[str, list[float]]) -> tuple[float, float, float]:
    """Lowest, median and highest ratio of the two ways' epochs that ran one after the other."""
    ratios = sorted(keras / own for keras, own in zip(times["keras"], times["edgefm"], strict=True))
    return ratios[0], statistics.median(ratios), ratios[-1]


if __name__ == "__main__":
    main()
