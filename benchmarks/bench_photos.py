"""Photos: one to its canvas, and a folder of them to predictions, each beside bare Pillow."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks import against
from benchmarks.photos.folder_throughput import bare, drain, make_photos, pillow_alone
from edge_fm_runtime import Classifier
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.photos.photo import load_canvas
from edge_fm_runtime.system.machine import usable_cpus

MEGAPIXELS = (0.3, 12.0)
PHOTOS = 2000


@pytest.mark.parametrize("megapixels", MEGAPIXELS)
def test_canvas(benchmark: Any, onnx_artifact: Path, tmp_path: Path, megapixels: float) -> None:
    metadata = load_artifact(onnx_artifact).metadata
    (photo,) = make_photos(tmp_path / "photos", 1, megapixels=megapixels)
    ours = partial(load_canvas, photo, metadata.input.shape, metadata.photo)
    benchmark.group = "photo to canvas"
    benchmark.extra_info.update(megapixels=megapixels, mode=metadata.photo.mode)
    benchmark.pedantic(ours, rounds=10, warmup_rounds=1)
    size = (metadata.input.width, metadata.input.height)
    compared = against.quick(ours, partial(bare, photo, size), "Pillow: open, convert, resize", seconds=1.0)
    benchmark.extra_info["against"] = compared


def test_folder(benchmark: Any, onnx_artifact: Path, tmp_path: Path) -> None:
    paths = make_photos(tmp_path / "photos", PHOTOS)
    with Classifier.load(onnx_artifact, one_shot=True) as classifier:
        shape = classifier.artifact.metadata.input

        def ours() -> None:
            drain(classifier.classify_many(paths, processes="auto"))

        benchmark.group = "folder of photos"
        benchmark.extra_info.update(photos=PHOTOS, threads=usable_cpus(), engine="onnxruntime", precision="fp32")
        benchmark.pedantic(ours, rounds=2, warmup_rounds=1)
        benchmark.extra_info["images_per_second"] = PHOTOS / benchmark.stats.stats.median
        compared = against.slow(
            ours, lambda: pillow_alone(paths, (shape.width, shape.height)), "Pillow on threads, no model", rounds=5
        )
        benchmark.extra_info["against"] = compared
