"""Photos a second that a folder is classified at, beside bare Pillow and a bare onnxruntime session together.

    python benchmarks/photos/photo_folder.py FOLDER [--artifact NAME] [--photos 300] [--rounds 5] [--json]

The photos of FOLDER are brought to 400x533 first. The bare way decodes each at Pillow's reduced scale, the smallest one
that covers the model's input, on as many threads as there are CPUs, and runs the session on batches of 32. Both ways
take turns; the figures are medians.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from benchmarks.photos.folder_throughput import drain, rates
from edge_fm_runtime import Classifier
from edge_fm_runtime.defaults import BATCH_SIZE
from edge_fm_runtime.photos.suffixes import is_photo_name
from edge_fm_runtime.system.machine import describe_machine, usable_cpus

SIZE = (400, 533)


def resized_photos(folder: Path, target: Path, count: int) -> list[str]:
    """Write `count` JPEGs of 400x533 made of the folder's photos, again from the first one where they are fewer."""
    found = sorted(path for path in folder.rglob("*") if is_photo_name(path.name))
    if not found:
        raise SystemExit(f"{folder} holds no photo.")
    paths = []
    for number in range(count):
        path = target / f"{number:05}.jpg"
        with Image.open(found[number % len(found)]) as image:
            image.convert("RGB").resize(SIZE).save(path, quality=88)
        paths.append(str(path))
    return paths


def bare_pixels(path: str, size: tuple[int, int]) -> np.ndarray:
    """What a short script would decode."""
    with Image.open(path) as image:
        image.draft("RGB", size)
        return np.asarray(image.convert("RGB").resize(size))


def bare(session: onnxruntime.InferenceSession, paths: list[str], size: tuple[int, int]) -> None:
    """Decode on threads, and run the session on batches meanwhile."""
    name = session.get_inputs()[0].name
    with ThreadPoolExecutor(usable_cpus()) as pool:
        pixels = pool.map(bare_pixels, paths, [size] * len(paths))
        while batch := list(islice(pixels, BATCH_SIZE)):
            session.run(None, {name: np.stack(batch)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="photos")
    parser.add_argument("--artifact", help="ONNX artifact of a colour model; default: the one in the package")
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, Classifier.load(given.artifact, one_shot=True) as classifier:
        paths = resized_photos(given.folder, Path(scratch), given.photos)
        artifact = classifier.artifact
        height, width, _ = artifact.metadata.input.shape
        session = onnxruntime.InferenceSession(artifact.payload, providers=["CPUExecutionProvider"])
        found = rates(
            {
                "classify_many": lambda: drain(classifier.classify_many(paths, processes="auto")),
                "bare": lambda: bare(session, paths, (width, height)),
            },
            len(paths),
            given.rounds,
        )
    result = {
        "machine": describe_machine(),
        "load_average": os.getloadavg()[0],
        "photos": len(paths),
        "images_per_second": found,
        "ratio": found["classify_many"] / found["bare"],
    }
    if given.json:
        print(json.dumps(result, indent=2))
        return
    print(f"classify_many {found['classify_many']:.1f} photos/s, bare {found['bare']:.1f}: {result['ratio']:.2f}")


if __name__ == "__main__":
    main()
