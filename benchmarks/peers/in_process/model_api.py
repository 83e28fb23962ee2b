"""OpenVINO Model API: its ClassificationModel reads our IR as it is, and classifies one image a call."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.peers.job import Job


def open_call(job: Job) -> Callable[[], np.ndarray]:
    from model_api.adapters import OpenvinoAdapter, create_core
    from model_api.models import ClassificationModel

    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": job.threads, "INFERENCE_PRECISION_HINT": "f32"}
    adapter = OpenvinoAdapter(create_core(), str(job.payload()), device="CPU", plugin_config=config, max_num_requests=1)
    model = ClassificationModel.create_model(adapter)
    pixels = job.pixels()
    classes = len(model.params.labels)

    def call() -> np.ndarray:
        best = [model(image).top_labels[0].id for image in pixels]
        return np.eye(classes, dtype=np.float32)[best]

    return call
