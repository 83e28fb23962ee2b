"""What the original, the Keras model, predicts: the reference of the gate."""

from __future__ import annotations

import numpy as np

from edge_fm_export.compat.tensorflow_setup import quiet, require_tensorflow
from edge_fm_export.context import SourceModel
from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.artifacts.metadata import PROBABILITIES
from edge_fm_runtime.engines.batches import run_in_batches, run_outputs_in_batches
from edge_fm_runtime.engines.outputs import Outputs
from edge_fm_runtime.progress import ProgressFn, silent

_MAX_BATCH = 256
_BATCH_BYTES = 4 << 20


def reference_predictions(source: SourceModel, images: Pixels, *, progress: ProgressFn = silent) -> Probabilities:
    """Predictions of the Keras model itself for `images` uint8 `[N,H,W,C]`: float32 `[N,classes]`."""
    predict = source.predict
    with quiet():
        return run_in_batches(
            lambda batch: np.asarray(predict(batch)[PROBABILITIES], np.float32),
            images,
            batch=batch_size(images),
            fixed_batch=source.input.batch,
            stage="running the original",
            progress=progress,
        )


class ReferenceOutputs:
    """Computes what the Keras model gives beside the probabilities.

    Args:
        source: the original; its `extra` is not None.
    """

    def __init__(self, source: SourceModel) -> None:
        assert source.extra is not None
        model = source.extra.model
        # Eagerly, Keras would compile each grouped convolution anew for every batch.
        tf, _ = require_tensorflow("the original model")
        self._batch = source.input.batch
        self._predict = tf.function(
            lambda image: model(image, training=False),
            autograph=False,
            input_signature=[tf.TensorSpec((source.input.batch, *source.input.shape), tf.uint8)],
        )

    def __call__(self, images: Pixels) -> Outputs:
        """All outputs by their names for `images` uint8 `[N,H,W,C]`: float32 `[N,...]`."""

        def run(batch: Pixels) -> Outputs:
            return {name: np.asarray(values, np.float32) for name, values in self._predict(batch).items()}

        with quiet():
            return run_outputs_in_batches(run, images, batch=batch_size(images), fixed_batch=self._batch)


def batch_size(images: Pixels) -> int:
    """A batch that is quick, and small enough for large images: at most 256 images or 4 MiB of pixels."""
    return int(min(_MAX_BATCH, max(1, _BATCH_BYTES // images[0].nbytes)))
