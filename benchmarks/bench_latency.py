"""Latency of every engine at batch 1, 32 and 256, beside Keras `predict`, a Keras call and the SavedModel.

    make bench

One case for each engine and batch size, grouped by batch size; pytest-benchmark prints the table with the ratio to the
fastest of each group and leaves its JSON, with the machine, versions, threads, devices and precisions in it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_fm.cli.registry import ALL_ENGINES
from edge_fm_export.engines import reference_engine
from edge_fm_export.sources import load_source
from edge_fm_runtime.artifact import load_artifact
from edge_fm_runtime.engines import Engine, EngineOptions, create_engine
from edge_fm_runtime.golden import load_golden

CASES = ("keras-predict", "keras", "savedmodel", "onnxruntime", "openvino", "null")
FOLDERS = {"savedmodel": "*-savedmodel-fp32", "openvino": "*-openvino-fp32"}
BATCHES = (1, 32, 256)


@cache
def open_engine(name: str, run: Path) -> Engine:
    if name.startswith("keras"):
        return reference_engine(name, load_source(run))
    (folder,) = (run / "export").glob(FOLDERS.get(name, "*-onnx-fp32"))
    return create_engine(load_artifact(folder), name, options=EngineOptions(), registry=ALL_ENGINES)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", CASES)
def test_latency(benchmark: Any, run: Path, name: str, batch: int) -> None:
    engine = open_engine(name, run)
    (folder,) = (run / "export").glob("*-onnx-fp32")
    images = load_golden(folder / "golden.npz").images
    pixels = np.ascontiguousarray(np.resize(images, (batch, *images.shape[1:])))
    engine.infer(pixels)
    benchmark.group = f"batch {batch}"
    benchmark.extra_info.update(
        engine=engine.name, device=engine.device, precision=engine.precision, threads=engine.threads, batch=batch
    )
    answers = benchmark.pedantic(engine.infer, args=(pixels,), rounds=30, iterations=1, warmup_rounds=5)
    benchmark.extra_info["images_per_second"] = batch / benchmark.stats.stats.median
    assert answers.shape[0] == batch
