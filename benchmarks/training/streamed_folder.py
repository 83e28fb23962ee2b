"""A folder of JPEGs too large for memory: peak memory, images a second beside Keras's own loader, and resumed runs.

    python benchmarks/training/streamed_folder.py make FOLDER [--count 100000]
    python benchmarks/training/streamed_folder.py memory FOLDER [--count 10000 --count 100000]
        [--steps 60, 0 for a whole epoch]
    python benchmarks/training/streamed_folder.py speed FOLDER [--steps 12] [--rounds 6]
    python benchmarks/training/streamed_folder.py resume FOLDER [--count 2000] [--kills 5]
    python benchmarks/training/streamed_folder.py cache FOLDER [--count 2000] [--rounds 6]

`make` draws the JPEGs (256x256, ten classes). `memory` trains mobilenet-v2 0.35 at 160x160 on the first images of the
folder, in a process of its own, and prints its peak memory; `--steps 0` runs `edgefm train` for one epoch. `speed`
trains the same model, fed by this package and by `keras.utils.image_dataset_from_directory`, in turns, and prints
images a second of both. `resume` kills a training five times at random moments, goes on each time, and compares the
weights with those of one that was not. `cache` reads the images again and again, decoded each time and from the cache
of decoded pixels, in turns, and prints the ratio.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = 10
SIDE = 256
DRAWN = 2_000
MODEL_SIDE = 160
BATCH = 32


def make(folder: Path, count: int) -> None:
    """Draw JPEGs of blobs, stripes and noise, and from each others with another quantization, so other pixels."""
    from PIL import Image, ImageChops

    rng = np.random.default_rng(0)
    stripes = 40 * (np.arange(SIDE)[None, :] // (4 + 3 * np.arange(CLASSES))[:, None] % 2)
    noise = rng.integers(0, 12, (CLASSES, SIDE, SIDE, 3)) + stripes[:, None, :, None]
    overlays = [Image.fromarray(pixels) for pixels in noise.astype(np.uint8)]
    for label in range(CLASSES):
        (folder / f"class{label}").mkdir(parents=True, exist_ok=True)

    def draw(number: int) -> None:
        label = number % CLASSES
        coarse = np.frombuffer(random.Random(number).randbytes(243), np.uint8).reshape(9, 9, 3)
        blobs = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        buffer = io.BytesIO()
        ImageChops.add(blobs, overlays[label]).save(buffer, "JPEG", quality=80)
        drawn = bytearray(buffer.getvalue())
        table = drawn.index(b"\xff\xdb") + 5  # marker, length, number: then 64 steps, the coarsest first
        for variant in range(-(-(count - number) // DRAWN)):
            content = drawn[:]
            content[table + 1 + variant % 20] += 1 + variant // 20
            (folder / f"class{label}" / f"{number + variant * DRAWN:06d}.jpg").write_bytes(content)

    with ThreadPoolExecutor() as pool:
        list(pool.map(draw, range(min(DRAWN, count))))


def first_of(folder: Path, count: int, scratch: Path) -> Path:
    """A folder of links to the first images of each class."""
    part = scratch / f"first-{count}"
    for sub in sorted(folder.iterdir()):
        (part / sub.name).mkdir(parents=True, exist_ok=True)
        for file in sorted(sub.iterdir())[: count // CLASSES]:
            os.link(file, part / sub.name / file.name)
    return part


def recipe_for(data: Path, *, epochs: int = 1, side: int = MODEL_SIDE) -> Any:
    """mobilenet-v2 0.35 from fresh weights, all of it trained."""
    from edge_fm.training import Recipe, with_overrides

    return with_overrides(
        Recipe(),
        model="mobilenet-v2",
        options={"alpha": 0.35, "size": side},
        weights="none",
        data=str(data),
        size=(side, side, 3),
        epochs=epochs,
        batch_size=BATCH,
    )


def peak_mib() -> float:
    """Peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def train_some_steps(data: Path, steps: int) -> dict[str, Any]:
    """Read the whole folder, train some steps of an epoch on it, and evaluate as many images."""
    from edge_fm.data.streaming.images import select
    from edge_fm.training.input_pipeline.batches import epoch_batches, steps_per_epoch
    from edge_fm.training.input_pipeline.recipe_data import load_recipe_data, training_and_validation
    from edge_fm.training.run.learner import Learner
    from edge_fm.training.streaming.keras_input import keras_input
    from edge_fm.training.streaming.prediction import predict

    began = time.monotonic()
    recipe = recipe_for(data)
    dataset = load_recipe_data(recipe)
    train, validation = training_and_validation(recipe, dataset)
    read = time.monotonic() - began
    learner = Learner(recipe, dataset, steps_per_epoch(len(train), BATCH), weights="none")
    batches = epoch_batches(train.images, train.labels, recipe, classes=CLASSES, epoch=0)
    type(batches).__len__ = lambda self: steps
    began = time.monotonic()
    learner.fitted.fit(keras_input(batches), shuffle=False, verbose=0)
    trained = time.monotonic() - began
    predict(learner.evaluated, select(validation.images, slice(steps * BATCH)), batch_size=250)
    return {
        "images": sum(map(len, dataset.splits.values())),
        "steps": steps,
        "first_reading_s": round(read, 1),
        "images_per_s": round(steps * BATCH / trained, 1),
        "peak_mib": round(peak_mib()),
        "in_memory": isinstance(train.images, np.ndarray),
    }


def train_an_epoch(data: Path, count: int, scratch: Path) -> dict[str, Any]:
    """Run `edgefm train` for one epoch, in a process of its own, as anybody would."""
    from edge_fm.training.recipe.file import recipe_toml

    recipe, run = scratch / f"recipe-{count}.toml", scratch / f"run-{count}"
    recipe.write_text(recipe_toml(recipe_for(data)))
    began = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-m", "edge_fm", "train", "--recipe", str(recipe), "--out", str(run), "--quiet"],
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"edgefm train ended with {child.returncode}.")
    metrics = json.loads((run / "metrics.json").read_text())
    return {
        "images": count,
        "epochs": metrics["epochs"],
        "seconds": round(time.monotonic() - began, 1),
        "peak_mib": round(usage.ru_maxrss / 1024),
    }


def memory(folder: Path, counts: list[int], steps: int) -> None:
    """Print the peak memory of a training on each number of images: of some steps, or of an epoch of `edgefm train`."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        rows = []
        for count in counts:
            data = folder if count == 0 else first_of(folder, count, Path(scratch))
            if steps:
                command = [sys.executable, __file__, "steps", str(data), "--steps", str(steps)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                rows.append(json.loads(done.stdout.splitlines()[-1]))
            else:
                rows.append(train_an_epoch(data, count, Path(scratch)))
            print(json.dumps(rows[-1]), flush=True)
    if len(rows) > 1:
        print(f"peak memory of the last is {rows[-1]['peak_mib'] / rows[0]['peak_mib']:.3f} of the first")


def speed(folder: Path, steps: int, rounds: int) -> None:
    """Print images a second of one network, fed by Keras's loader and by this package, in turns, from a first reading.

    The CPU time of an image is printed too: it is the same where the machine gives the process fewer cores for a while.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        os.environ["XDG_CACHE_HOME"] = scratch
        _speed(folder, steps, rounds)


def _speed(folder: Path, steps: int, rounds: int) -> None:
    import keras

    from edge_fm.training.input_pipeline.batches import epoch_batches
    from edge_fm.training.input_pipeline.recipe_data import load_recipe_data, training_and_validation
    from edge_fm.training.run.learner import Learner
    from edge_fm.training.streaming.keras_input import keras_input

    recipe = recipe_for(folder)
    dataset = load_recipe_data(recipe)
    train, _ = training_and_validation(recipe, dataset)
    learner = Learner(recipe, dataset, len(train) // BATCH, weights="none")
    network = learner.fitted
    theirs = keras.utils.image_dataset_from_directory(
        str(folder), label_mode="categorical", image_size=(MODEL_SIDE, MODEL_SIDE), batch_size=BATCH, seed=0,
        verbose=False,
    )  # fmt: skip
    import tensorflow as tf

    # The network takes uint8, and Keras's loader hands out floats.
    theirs = theirs.map(lambda images, labels: (tf.cast(images + 0.5, tf.uint8), labels)).prefetch(tf.data.AUTOTUNE)

    def ours(number: int) -> Any:
        batches = epoch_batches(train.images, train.labels, recipe, classes=CLASSES, epoch=number)
        type(batches).__len__ = lambda self: steps
        return keras_input(batches)  # as a training does

    def took(batches: Any) -> tuple[float, float]:
        began, cpu_began = time.perf_counter(), time.process_time()
        network.fit(batches, shuffle=False, verbose=0)
        return time.perf_counter() - began, time.process_time() - cpu_began

    took(ours(0)), took(theirs.take(steps))
    rows: list[dict[str, tuple[float, float]]] = []
    for number in range(rounds):
        turns = {"edgefm": lambda n=number: ours(n), "keras": lambda n=number: theirs.skip(n).take(steps)}
        order = list(turns) if number % 2 else list(turns)[::-1]
        rows.append({name: took(turns[name]()) for name in order})
        shown = (
            f"{name} {steps * BATCH / wall:.1f} images/s, {1000 * cpu / steps / BATCH:.2f} ms of CPU an image"
            for name, (wall, cpu) in sorted(rows[-1].items())
        )
        print(*shown, f"ratio {rows[-1]['keras'][0] / rows[-1]['edgefm'][0]:.3f}", sep="  ", flush=True)
    print(f"{rounds} rounds of {steps} steps of {BATCH}, edgefm/keras:")
    for at, what in enumerate(("images a second", "images a second of CPU")):
        ratios = [row["keras"][at] / row["edgefm"][at] for row in rows]
        ours_s, theirs_s = (np.median([row[name][at] for row in rows]) for name in ("edgefm", "keras"))
        print(f"{what}: median of the ratios {np.median(ratios):.3f}, ratio of the medians {theirs_s / ours_s:.3f}")


def cache(folder: Path, count: int, rounds: int) -> None:
    """Print images a second of reading again, decoded each time and from the cache of decoded pixels, in turns."""
    from edge_fm.data import load_dataset
    from edge_fm.data.streaming.images import as_streamed
    from edge_fm.data.streaming.pixel_cache import VARIABLE

    os.environ["EDGEFM_IMAGE_MEMORY"] = "0"
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        os.environ["XDG_CACHE_HOME"] = scratch
        images: dict[str, Any] = {}
        for name, gib in (("decoded", "0"), ("from the cache", "100")):
            os.environ[VARIABLE] = gib
            train = load_dataset(str(folder), shape=(MODEL_SIDE, MODEL_SIDE, 3)).train
            images[name] = as_streamed(train.images)
            part = np.random.default_rng(0).permutation(len(train))[:count]
            images[name][part]  # the cache is filled where the first reading was stored before there was one
        ratios = []
        for number in range(rounds):
            rate = {}
            for name in list(images)[:: 1 if number % 2 else -1]:
                began = time.perf_counter()
                for start in range(0, len(part), BATCH):
                    images[name][part[start : start + BATCH]]
                rate[name] = len(part) / (time.perf_counter() - began)
            ratios.append(rate["from the cache"] / rate["decoded"])
            shown = "  ".join(f"{name} {value:.0f} images/s" for name, value in sorted(rate.items()))
            print(f"{shown}  ratio {ratios[-1]:.2f}", flush=True)
    print(f"median ratio {np.median(ratios):.2f} of {rounds} rounds of {len(part)} images")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "memory", "speed", "resume", "cache", "steps"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, action="append")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--kills", type=int, default=5)
    return parser.parse_args()


def main() -> None:
    """Run one part."""
    given = _arguments()
    counts = given.count or []
    if given.what == "make":
        make(given.folder, counts[0] if counts else 100_000)
    elif given.what == "memory":
        memory(given.folder, counts or [10_000, 100_000], given.steps)
    elif given.what == "speed":
        speed(given.folder, given.steps, given.rounds)
    elif given.what == "resume":
        from benchmarks.training.killed_runs import resume

        resume(given.folder, counts[0] if counts else 2_000, given.kills)
    elif given.what == "cache":
        cache(given.folder, counts[0] if counts else 2_000, given.rounds)
    else:
        print(json.dumps(train_some_steps(given.folder, given.steps)))


if __name__ == "__main__":
    main()
