"""Latency of each engine at each precision and batch size, beside the bare library; and of the originals.

make bench
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import against
from edge_fm.api.common.engines import ALL_ENGINES
from edge_fm.evaluation.benchmark.bare_libraries import BARE_ENGINES, BARE_OF
from edge_fm_export.engines import reference_engine
from edge_fm_export.sources import load_source
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.artifacts.golden import load_golden
from edge_fm_runtime.engines import Engine, EngineOptions, create_engine

ENGINES = {"onnxruntime": "onnx", "openvino": "openvino", "litert": "litert"}
PRECISIONS = ("fp32", "fp16", "int8")
ORIGINALS = ("keras-predict", "keras", "savedmodel", "null")
BATCHES = (1, 32, 256)


def pixels(artifact: Path, batch: int) -> np.ndarray:
    images = load_golden(artifact / "golden.npz").images
    return np.ascontiguousarray(np.resize(images, (batch, *images.shape[1:])))


def time(benchmark: Any, engine: Engine, images: np.ndarray) -> None:
    batch = len(images)
    benchmark.extra_info.update(
        engine=engine.name, device=engine.device, precision=engine.precision, threads=engine.threads, batch=batch
    )
    predictions = benchmark.pedantic(engine.infer, args=(images,), rounds=30, iterations=1, warmup_rounds=5)
    benchmark.extra_info["images_per_second"] = batch / benchmark.stats.stats.median
    assert predictions.shape[0] == batch


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ENGINES)
def test_latency(benchmark: Any, run: Path, name: str, precision: str, batch: int) -> None:
    (folder,) = (run / "export").glob(f"*-{ENGINES[name]}-{precision}")
    artifact, options = load_artifact(folder), EngineOptions(batch=batch)
    engine = create_engine(artifact, name, options=options)
    bare = create_engine(artifact, BARE_OF[name], options=options, registry=BARE_ENGINES)
    images = pixels(folder, batch)
    benchmark.group = f"latency, batch {batch}"
    time(benchmark, engine, images)
    compared = against.quick(lambda: engine.infer(images), lambda: bare.infer(images), f"bare {name}")
    benchmark.extra_info["against"] = compared
    engine.close()
    bare.close()


@cache
def open_original(name: str, run: Path, artifact: Path) -> Engine:
    if name.startswith("keras"):
        return reference_engine(name, load_source(run))
    (folder,) = (run / "export").glob("*-savedmodel-fp32") if name == "savedmodel" else (artifact,)
    return create_engine(load_artifact(folder), name, options=EngineOptions(), registry=ALL_ENGINES)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", ORIGINALS)
def test_original(benchmark: Any, run: Path, onnx_artifact: Path, name: str, batch: int) -> None:
    benchmark.group = f"latency, batch {batch}"
    time(benchmark, open_original(name, run, onnx_artifact), pixels(onnx_artifact, batch))
