"""What a third-party model returns as probabilities: a softmax or a sigmoid is added where it returns logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.compat.tensorflow_setup import quiet
from edge_fm_runtime.artifacts.metadata import MULTI_LABEL, Task
from edge_fm_runtime.engines.batches import run_in_batches
from edge_fm_runtime.errors import ModelError

_SUM_TOLERANCE = 1e-3
_PROBES = 16


def as_probabilities(
    keras: Any, scores: Any, activation: str | None, classes: int, path: Path, notes: list[str]
) -> tuple[Any, Task | None]:
    """The symbolic output as float32 probabilities named `probabilities`, and the task."""
    values = _probe(scores, path)
    inside = bool((values >= -_SUM_TOLERANCE).all() and (values <= 1.0 + _SUM_TOLERANCE).all())
    output = keras.ops.cast(scores.output, "float32") if scores.output.dtype != "float32" else scores.output
    if classes == 1:
        if activation == "linear" or not inside:
            output = keras.layers.Activation("sigmoid", dtype="float32")(output)
            notes.append("The single output is a logit: a sigmoid was added.")
        notes.append("The model returns one probability p: it became two classes, 1-p and p.")
        return keras.layers.Concatenate(name="probabilities", dtype="float32")([1.0 - output, output]), None
    # The sum alone is no proof: in half precision a softmax adds up to 1 within some thousandths.
    if activation == "softmax" or (inside and bool((np.abs(values.sum(axis=1) - 1.0) <= _SUM_TOLERANCE).all())):
        return keras.layers.Activation("linear", name="probabilities", dtype="float32")(output), None
    if activation == "sigmoid":
        notes.append(
            f"Each of the {classes} outputs has a sigmoid of its own: the model is multi-label, and any number of "
            "labels may apply to an image."
        )
        return keras.layers.Activation("linear", name="probabilities", dtype="float32")(output), MULTI_LABEL
    if inside and activation is None:
        raise ModelError(
            f"{path} returns {classes} values between 0 and 1 that do not add up to 1, and does not end in a sigmoid: "
            "whether one class applies or several (multi-label) cannot be told.",
            hint="Supported are one class of many (softmax or logits), yes or no (a single sigmoid), and multi-label "
            "(a sigmoid for each label as the last layer).",
        )
    notes.append("The model returns logits (its rows do not add up to 1): a softmax was added.")
    return keras.layers.Softmax(name="probabilities", dtype="float32")(output), None


def _probe(scores: Any, path: Path) -> npt.NDArray[np.float32]:
    """Scores `[N,classes]` for a few images: noise, and plain ones from black to white."""
    shape = tuple(int(side) for side in scores.input.shape[1:])
    noise = np.random.default_rng(0).integers(0, 256, (_PROBES // 2, *shape), dtype=np.uint8)
    plain = np.linspace(0, 255, _PROBES // 2).astype(np.uint8).reshape(-1, 1, 1, 1)
    images = np.concatenate([noise, np.broadcast_to(plain, (len(plain), *shape))])
    with quiet():
        values = run_in_batches(
            lambda batch: np.asarray(scores(batch, training=False), dtype=np.float32),
            images,
            fixed_batch=scores.input.shape[0],
        )
    if not np.isfinite(values).all():
        raise ModelError(
            f"{path} returns NaN or infinity for plain images.",
            hint="Check its weights and the scaling of pixels that it needs: --preset NAME, or --input-scale 1/255",
        )
    return np.asarray(values)
