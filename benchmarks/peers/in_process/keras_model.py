"""The original, for the peers that run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.peers.job import Job


def load(job: Job) -> Any:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(job.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return tf.keras.models.load_model(Path(job.run) / "model.keras", compile=False)
