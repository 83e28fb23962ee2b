"""SavedModel artifacts, run by TensorFlow through their serving signature."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np

from edge_fm_export.compat.tensorflow_setup import quiet, require_tensorflow
from edge_fm_export.engines.tensorflow_device import require_ran_on, select_device, select_threads
from edge_fm_export.savedmodel.safety import require_safe_graph
from edge_fm_export.savedmodel.savedmodel_format import OUTPUT, VERSION
from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.engines.base import Engine, EngineOptions
from edge_fm_runtime.engines.outputs import Outputs, check_outputs
from edge_fm_runtime.errors import EngineError, ModelError
from edge_fm_runtime.system.scratch import scratch_folder


class SavedModelEngine(Engine):
    """Runs the signature `serving_default` of a SavedModel artifact.

    Args:
        artifact: of format "savedmodel".
        options: `device` is "CPU" or "GPU".

    Raises:
        EngineError: another format, operators that no classifier needs (nothing is then loaded), or a SavedModel that
            TensorFlow cannot load.
        DeviceError: TensorFlow has no such device.
    """

    name = "savedmodel"
    precision = "fp32"

    def __init__(self, artifact: Artifact, options: EngineOptions) -> None:
        if not isinstance(artifact, Artifact) or artifact.metadata.format != "savedmodel":
            raise EngineError("The savedmodel engine runs savedmodel artifacts alone.", hint="Use --engine auto")
        super().__init__(artifact, options)
        self._tf, _ = require_tensorflow("the savedmodel engine")
        self.threads = select_threads(self._tf, options)
        self._options, self.device = options, options.device
        self._place = select_device(self._tf, options)
        with _payload_folder(artifact) as folder:
            try:
                require_safe_graph(folder / VERSION)
            except ModelError as error:
                raise EngineError(
                    error.message,
                    hint="Do not run it. Export the original model again: edgefm export --format savedmodel",
                ) from error
            try:
                with quiet(), self._tf.device(self._place):
                    # Kept alive: the signature does not hold the model that it belongs to.
                    self._loaded: Any = self._tf.saved_model.load(str(folder / VERSION))
                self._signature: Any = self._loaded.signatures["serving_default"]
            except (OSError, ValueError, KeyError, self._tf.errors.OpError) as error:
                raise EngineError(
                    f"TensorFlow cannot load {artifact.payload / VERSION}: {error}",
                    hint="Update the library, pip install -U tensorflow, or export the model again: edgefm export",
                ) from error
        self._names = [OUTPUT, *(output.name for output in artifact.metadata.extra_outputs)]
        if artifact.metadata.extra_outputs:
            shapes = self._signature.structured_outputs
            check_outputs(artifact, [(name, list(shapes[name].shape)[1:]) for name in self._names if name in shapes])

    def infer(self, batch: Pixels, /) -> Probabilities:
        with self._calls, self._tf.device(self._place):
            predictions = self._signature(image=self._tf.constant(batch))[OUTPUT]
        require_ran_on(predictions, self._options)
        return cast(Probabilities, np.asarray(predictions))

    def infer_outputs(self, batch: Pixels, /) -> Outputs:
        with self._calls, self._tf.device(self._place):
            values = self._signature(image=self._tf.constant(batch))
        for value in values.values():
            require_ran_on(value, self._options)
        return {name: np.asarray(values[name]) for name in self._names}

    def close(self) -> None:
        """Release the model once running calls have returned."""
        if self._calls.close():
            self._signature = self._loaded = None


@contextmanager
def _payload_folder(artifact: Artifact) -> Iterator[Path]:
    """The folder to load: the payload, or a private copy of the checked bytes where a signature was required."""
    if artifact.contents is None:
        yield artifact.payload
        return
    with scratch_folder() as copy:
        for name, content in artifact.contents.items():
            if name.startswith(f"{artifact.metadata.payload}/"):
                file = copy / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
        yield copy / artifact.metadata.payload
