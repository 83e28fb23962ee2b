"""Keras as most people call it: `model.predict`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.peers.in_process.keras_model import load
from benchmarks.peers.job import Job


def open_call(job: Job) -> Callable[[], np.ndarray]:
    model, pixels = load(job), job.pixels()
    return lambda: model.predict(pixels, batch_size=job.batch, verbose=0)
