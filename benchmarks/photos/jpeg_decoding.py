"""What it costs that a photo is decoded whole, so that its file and its pixels give the same canvas.

    python -m benchmarks.photos.jpeg_decoding FOLDER [--photos 8] [--rounds 5] [--json]

The photos of FOLDER are brought to 400x533 and to 3000x4000 pixels first. For each size, milliseconds of processor time
a photo, of four ways that take turns on one core:

- reduced: Pillow decodes at the smallest scale that covers the canvas (an eighth, at 12 megapixels) and resizes.
- whole, alone: Pillow decodes every pixel, and nothing else happens. No way that sees every pixel can be faster.
- whole: the same, and Pillow resizes to the canvas.
- load_canvas: what EdgeFM does with the file.

`differ` is the share of canvases that the reduced scale changes: those on which the file and its array would disagree.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.photos.photo import load_canvas
from edge_fm_runtime.photos.suffixes import is_photo_name
from edge_fm_runtime.system.machine import describe_machine

SIZES = ((400, 533), (3000, 4000))
CANVAS = (224, 224)
SPEC = PhotoSpec(mode="stretch")


def decode(path: str) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


def decode_reduced(path: str) -> np.ndarray:
    with Image.open(path) as image:
        image.draft("RGB", CANVAS)
        return np.asarray(image.resize(CANVAS, Image.Resampling.BICUBIC))


def decode_whole(path: str) -> np.ndarray:
    return np.asarray(decode(path).resize(CANVAS, Image.Resampling.BICUBIC, reducing_gap=2.0))


def canvas(source: Any) -> np.ndarray:
    return load_canvas(source, (*CANVAS, 3), SPEC)


WAYS: dict[str, Callable[[str], object]] = {
    "reduced": decode_reduced,
    "whole, alone": decode,
    "whole": decode_whole,
    "load_canvas": canvas,
}


def measure(paths: list[str], rounds: int) -> dict[str, float]:
    """Milliseconds of processor time a photo: for each way the median of the rounds."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds + 1):
        for way, run in WAYS.items():
            began = time.process_time()
            for path in paths:
                run(path)
            seconds[way].append(time.process_time() - began)
    return {way: 1000 * statistics.median(of[1:]) / len(paths) for way, of in seconds.items()}


def write_photos(found: list[Path], folder: Path, size: tuple[int, int]) -> list[str]:
    folder.mkdir()
    paths = []
    for number, source in enumerate(found):
        path = folder / f"{number}.jpg"
        with Image.open(source) as image:
            image.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(path, quality=88)
        paths.append(str(path))
    return paths


def share_that_differs(paths: list[str]) -> float:
    def reduced(path: str) -> Image.Image:
        with Image.open(path) as image:
            image.draft("RGB", CANVAS)
            return image.copy()

    return sum(not np.array_equal(canvas(reduced(path)), canvas(path)) for path in paths) / len(paths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="photos")
    parser.add_argument("--photos", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = sorted(path for path in given.folder.rglob("*") if is_photo_name(path.name))[: given.photos]
    if not found:
        raise SystemExit(f"{given.folder} holds no photo.")
    result: dict[str, Any] = {"machine": describe_machine(), "photos": len(found), "sizes": {}}
    with tempfile.TemporaryDirectory() as scratch:
        for width, height in SIZES:
            paths = write_photos(found, Path(scratch) / f"{width}", (width, height))
            times = measure(paths, given.rounds)
            result["sizes"][f"{width}x{height}"] = {
                "cpu_ms": times,
                "ratio": {way: ms / times["reduced"] for way, ms in times.items()},
                "differ": share_that_differs(paths),
            }
    if given.json:
        print(json.dumps(result, indent=2))
        return
    for size, row in result["sizes"].items():
        shown = ", ".join(f"{way} {ms:.1f} ms ({row['ratio'][way]:.2f})" for way, ms in row["cpu_ms"].items())
        print(f"{size}: {shown}; differ {row['differ']:.0%}")


if __name__ == "__main__":
    main()
