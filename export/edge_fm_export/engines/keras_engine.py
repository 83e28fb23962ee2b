"""The original: a Keras model, called or through `predict`."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from edge_fm_export.compat.tensorflow_setup import require_tensorflow
from edge_fm_export.context import SourceModel
from edge_fm_export.engines.tensorflow_device import require_ran_on, select_device, select_threads
from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.engines.base import Engine, EngineOptions
from edge_fm_runtime.engines.batches import run_in_batches
from edge_fm_runtime.engines.calls import Calls
from edge_fm_runtime.errors import EngineError


class KerasEngine(Engine):
    """Calls the model, `model(batch, training=False)`: the reference of every parity check.

    Args:
        source: the model.
        options: `device` is "CPU" or "GPU".

    Raises:
        EngineError: not a source model.
        DeviceError: TensorFlow has no such device.
    """

    name = "keras"
    precision = "fp32"

    def __init__(self, source: SourceModel, options: EngineOptions) -> None:
        if not isinstance(source, SourceModel):
            raise EngineError(
                f"The {self.name} engine runs a Keras model, not an exported artifact.",
                hint="Use --engine auto; or compare with the original: --against RUN|MODEL.keras",
            )
        self._tf, _ = require_tensorflow(f"the {self.name} engine")
        self.threads = select_threads(self._tf, options)
        self._options, self.device = options, options.device
        self._place = select_device(self._tf, options)
        self._model: Any = source.model
        self._batch = source.input.batch
        self._calls = Calls(f"The {self.name} engine")

    def infer(self, batch: Pixels, /) -> Probabilities:
        with self._calls, self._tf.device(self._place):
            return run_in_batches(self._call, batch, fixed_batch=self._batch)

    def _call(self, batch: Pixels) -> Probabilities:
        predictions = self._model(batch, training=False)
        require_ran_on(predictions, self._options)
        return cast(Probabilities, np.asarray(predictions))

    def close(self) -> None:
        """Release the model once running calls have returned."""
        if self._calls.close():
            self._model = None


class KerasPredictEngine(KerasEngine):
    """Goes through `model.predict`, as most people call a Keras model; its overhead is part of the measurement."""

    name = "keras-predict"

    def infer(self, batch: Pixels, /) -> Probabilities:
        with self._calls, self._tf.device(self._place):
            return run_in_batches(self._predict, batch, fixed_batch=self._batch)

    def _predict(self, batch: Pixels) -> Probabilities:
        return cast(Probabilities, self._model.predict(batch, verbose=0, batch_size=len(batch)))
