"""TensorFlow's SavedModel: the serving signature."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.peers.job import Job


def open_call(job: Job) -> Callable[[], np.ndarray]:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(job.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    (folder,) = (Path(job.run) / "export").glob("*-savedmodel-fp32/saved_model/1")
    loaded, pixels = tf.saved_model.load(str(folder)), job.pixels()
    signature = loaded.signatures["serving_default"]
    # The signature does not hold the model that it belongs to: the closure keeps `loaded` alive.
    return lambda: signature(image=tf.constant(pixels))["probabilities"].numpy() if loaded else np.empty(0)
