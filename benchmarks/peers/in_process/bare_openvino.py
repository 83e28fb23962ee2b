"""OpenVINO alone: `infer` of a reused request of a model compiled for the very shape, latency hint, fp32 arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.peers.job import Job
from edge_fm.evaluation.benchmark.bare_libraries import BareOpenVino
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.engines import EngineOptions


def open_call(job: Job) -> Callable[[], np.ndarray]:
    bare, pixels = (
        BareOpenVino(load_artifact(job.artifact), EngineOptions(threads=job.threads, batch=job.batch)),
        job.pixels(),
    )
    return lambda: bare.infer(pixels)
