"""Ours: the engine that `edgefm infer` would run for this artifact; or as many batches at once as it serves best."""

from __future__ import annotations

from collections.abc import Callable, Generator
from itertools import repeat

import numpy as np

from benchmarks.peers.job import Job
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.engines import Engine, EngineOptions, create_engine


def open_call(job: Job) -> Callable[[], np.ndarray]:
    options = EngineOptions(threads=job.threads, batch=job.batch)
    engine, pixels = create_engine(load_artifact(job.artifact), options=options), job.pixels()
    return lambda: engine.infer(pixels)


def open_stream(job: Job) -> tuple[Engine, Callable[[], Generator[np.ndarray, None, None]]]:
    """An engine for throughput, and what gives its endless predictions."""
    options = EngineOptions(threads=job.threads, batch=job.batch, hint="throughput")
    engine, pixels = create_engine(load_artifact(job.artifact), options=options), job.pixels()

    def predictions() -> Generator[np.ndarray, None, None]:
        yield from engine.infer_many(repeat(pixels))

    return engine, predictions
