"""What a folder of photos costs beside decoding it and doing nothing else, in alternation, in one run.

    python benchmarks/photos/folder_throughput.py [--artifact NAME|FOLDER] [--small 10000] [--large 200] [--rounds 3]
    python benchmarks/photos/folder_throughput.py [--artifact NAME|FOLDER] --photos FOLDER_OF_PHOTOS [--limit 500]

Small photos: JPEGs of 28x28 to 100x100 pixels. `classify_many` (as `edgefm infer FOLDER` calls it) beside
the same canvases from threads alone and from child processes alone, and beside bare Pillow decoding on threads.
Large photos: JPEGs of 12 megapixels, beside `Image.open(p).convert("L").resize(...)` one after another. Peak memory is
that of `edgefm infer` and its largest child, for all small photos beside a tenth of them.

With --photos, those below that folder alone: `classify_many` beside what a script would do by hand, Pillow decoding at
the reduced scale that the canvas allows, on threads, and a bare onnxruntime session on batches (an ONNX artifact).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edge_fm_runtime import Classifier
from edge_fm_runtime.photos.decode_worker import DecodeWorker
from edge_fm_runtime.photos.decoding import ParallelDecoder
from edge_fm_runtime.system.machine import describe_machine, usable_cpus

GREY_MODEL = "edgenet-s-onnx-int8"
"""What the photos that are made here are for: images of Fashion-MNIST."""

MEASURE_PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
"""


def make_photos(folder: Path, count: int, *, megapixels: float | None = None) -> list[str]:
    """JPEGs of dataset images, enlarged on a light ground where they are large; a few are drawn, the rest are links."""
    from edge_fm.data import load_dataset

    images = load_dataset("fashion-mnist-mini").test.images[..., 0]
    rng = np.random.default_rng(0)
    folder.mkdir()
    paths = []
    for i in range(count):
        path = folder / f"{i:06}.jpg"
        if megapixels is None:
            side = int(rng.integers(28, 101))
            Image.fromarray(images[i % len(images)]).resize((side, side)).save(path, quality=85)
        elif i < 4:
            size = (4000, round(megapixels * 250))
            photo = Image.fromarray(255 - images[i]).resize(size, Image.Resampling.BICUBIC).convert("RGB")
            photo = Image.blend(photo, Image.effect_noise(size, 40).convert("RGB"), 0.1)
            photo.save(path, quality=90)
        else:
            os.link(folder / f"{i % 4:06}.jpg", path)
        paths.append(str(path))
    return paths


def bare(path: str, size: tuple[int, int]) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L").resize(size))


def drain(items: Iterable[object]) -> None:
    for _ in items:
        pass


def decode_alone(classifier: Classifier, paths: list[str], *, processes: bool) -> None:
    metadata = classifier.artifact.metadata

    def canvas(path: str, worker: DecodeWorker | None) -> np.ndarray:
        return classifier.canvas(path) if worker is None else worker.canvas(path)[0]

    start = partial(DecodeWorker, metadata.input.shape, metadata.photo, classifier.max_pixels)
    decoder = ParallelDecoder(
        paths, canvas, workers=usable_cpus(), ahead=256, start=start if processes and usable_cpus() > 1 else None
    )
    drain(decoder.batches(64))
    decoder.close()


def pillow_alone(paths: list[str], size: tuple[int, int]) -> None:
    with ThreadPoolExecutor(usable_cpus()) as pool:
        drain(pool.map(bare, paths, [size] * len(paths)))


def reduced(path: str, size: tuple[int, int]) -> np.ndarray:
    """RGB `[H,W,3]`: decoded at the smallest scale that is not below the canvas, then stretched to it."""
    with Image.open(path) as image:
        image.draft("RGB", size)
        return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))


def by_hand(session: Any, paths: list[str], size: tuple[int, int], *, batch: int = 64) -> None:
    """Decode on threads, ahead of the session by a batch or two, and run the session on whole batches."""
    name = session.get_inputs()[0].name
    with ThreadPoolExecutor(usable_cpus()) as pool:
        waiting: list[Any] = []
        for path in paths:
            waiting.append(pool.submit(reduced, path, size))
            if len(waiting) == 3 * batch:
                session.run(None, {name: np.stack([photo.result() for photo in waiting[:batch]])})
                del waiting[:batch]
        for start in range(0, len(waiting), batch):
            session.run(None, {name: np.stack([photo.result() for photo in waiting[start : start + batch]])})


def measure_photos(classifier: Classifier, folder: Path, limit: int, rounds: int) -> tuple[int, dict[str, float]]:
    """Number of photos below `folder`, and images a second of `classify_many` and of what a script would do."""
    import onnxruntime as ort

    paths = sorted(str(path) for path in folder.rglob("*.jpg"))[:limit]
    height, width, _ = classifier.artifact.metadata.input.shape
    size = (width, height)
    options = ort.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # as for a process that decodes meanwhile
    session = ort.InferenceSession(str(classifier.artifact.payload), options, providers=["CPUExecutionProvider"])
    return len(paths), rates(
        {
            "classify_many": lambda: drain(classifier.classify_many(paths, processes="auto")),
            "decoding and session": lambda: by_hand(session, paths, size),
            "canvas, processes": lambda: decode_alone(classifier, paths, processes=True),
            "canvas, threads": lambda: decode_alone(classifier, paths, processes=False),
        },
        len(paths),
        rounds,
    )


def rates(cases: dict[str, Callable[[], None]], count: int, rounds: int) -> dict[str, float]:
    """Images a second of each case, the median over rounds; the order turns."""
    taken: dict[str, list[float]] = {name: [] for name in cases}
    names = list(cases)
    for _ in range(rounds):
        for name in names:
            start = time.perf_counter()
            cases[name]()
            taken[name].append(time.perf_counter() - start)
        names = names[1:] + names[:1]
    return {name: count / statistics.median(seconds) for name, seconds in taken.items()}


def peak_mib(artifact: str, paths: list[str]) -> float:
    """Peak memory of `edgefm infer` over a list of paths, by the kernel's account of the process."""
    edgefm = Path(sys.executable).with_name("edgefm")
    command = [str(edgefm), "infer", "-", "--model", artifact, "--json", "--quiet"]
    # Through a small process: a child's peak starts at its parent's, and this one holds photos.
    done = subprocess.run(
        [sys.executable, "-c", MEASURE_PEAK, *command], input="\n".join(paths).encode(), capture_output=True, check=True
    )
    return int(done.stderr.split()[-1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--artifact", help=f"what `edgefm export` wrote; default: {GREY_MODEL}, with --photos the classifier for photos"
    )
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--photos", type=Path, help="measure on the JPEGs below this folder alone")
    parser.add_argument("--limit", type=int, default=500, help="how many of --photos")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.photos is not None:
        with Classifier.load(given.artifact, one_shot=True) as classifier:
            count, photos = measure_photos(classifier, given.photos, given.limit, given.rounds)
        if given.json:
            described = {"machine": describe_machine(), "load_average": os.getloadavg()[0]}
            print(json.dumps({**described, "photos": {"n": count, "images_per_second": photos}}, indent=2))
            return
        print(f"{count} photos {'':13} {'images/s':>10} {'classify_many / this':>22}")
        for case, rate in photos.items():
            print(f"  {case:22} {rate:10.1f} {photos['classify_many'] / rate:22.2f}")
        return
    artifact: str = given.artifact or GREY_MODEL
    with tempfile.TemporaryDirectory() as scratch, Classifier.load(artifact, one_shot=True) as classifier:
        small = make_photos(Path(scratch) / "small", given.small)
        large = make_photos(Path(scratch) / "large", given.large, megapixels=12)
        memory = [peak_mib(artifact, paths) for paths in (small[: len(small) // 10], small)]
        height, width, _ = classifier.artifact.metadata.input.shape
        size = (width, height)
        few = rates(
            {
                "classify_many": lambda: drain(classifier.classify_many(small, processes="auto")),
                "canvas, processes": lambda: decode_alone(classifier, small, processes=True),
                "canvas, threads": lambda: decode_alone(classifier, small, processes=False),
                "pillow, threads": lambda: pillow_alone(small, size),
            },
            len(small),
            given.rounds,
        )
        many = rates(
            {
                "classify_many": lambda: drain(classifier.classify_many(large, processes="auto")),
                "pillow, one by one": lambda: drain(bare(path, size) for path in large),
            },
            len(large),
            given.rounds,
        )
    result = {
        "machine": describe_machine(),
        "load_average": os.getloadavg()[0],
        "small": {"n": len(small), "images_per_second": few},
        "large": {"n": len(large), "images_per_second": many},
        "peak_mib": {"tenth": memory[0], "all": memory[1], "ratio": memory[1] / memory[0]},
    }
    if given.json:
        print(json.dumps(result, indent=2))
        return
    for name, table in (("small", few), ("large", many)):
        print(f"{name:24} {'images/s':>10} {'classify_many / this':>22}")
        for case, rate in table.items():
            print(f"  {case:22} {rate:10.1f} {table['classify_many'] / rate:22.2f}")
    print(f"peak memory: {memory[1]:.0f} MiB for all, {memory[0]:.0f} for a tenth: {memory[1] / memory[0]:.2f}")


if __name__ == "__main__":
    main()
