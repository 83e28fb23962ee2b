"""The engine that computes nothing: it shows what the harness costs, and stands in for an engine in tests."""

from __future__ import annotations

import numpy as np

from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.engines.base import Engine, EngineOptions


class NullEngine(Engine):
    """Gives every class the same probability, for every image."""

    name = "null"
    device = "CPU"
    precision = "none"
    threads = 0

    def __init__(self, artifact: Artifact, options: EngineOptions) -> None:
        super().__init__(artifact, options)
        self._classes = len(artifact.metadata.labels)

    def infer(self, batch: Pixels, /) -> Probabilities:
        with self._calls:
            return np.full((len(batch), self._classes), 1.0 / self._classes, dtype=np.float32)

    def close(self) -> None:
        """Refuse later calls; there is nothing to release."""
        self._calls.close()
