"""Weights from a file into a fresh model."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

from edge_fm.models.keras_import import require_keras
from edge_fm_runtime.errors import ModelError


def load_weights(model: Any, source: str) -> None:
    """Load `source` into `model`, every weight or none.

    Args:
        model: a built Keras model.
        source: "none", or the path of a `.weights.h5` or `.keras` file of the same architecture.

    Raises:
        ModelError: no such file, another kind of file, or weights of other shapes.
    """
    if source == "none":
        return
    keras = require_keras("training")
    path = Path(source)
    if not path.name.endswith((".weights.h5", ".keras")):
        raise ModelError(f"Weights are asked from {source!r}. Supported: none, or a file .weights.h5 or .keras.")
    if not path.is_file():
        raise ModelError(f"There is no file {path} to load weights from.", hint="Check the path, or leave it out.")
    before = model.get_weights()
    try:
        if path.name.endswith(".weights.h5"):
            with warnings.catch_warnings():
                # Keras only warns where a file has nothing for some layers.
                warnings.simplefilter("error", UserWarning)
                model.load_weights(path)
            return
        other = keras.models.load_model(path, compile=False)
    except (OSError, ValueError, KeyError, TypeError, UserWarning, zipfile.BadZipFile) as error:
        model.set_weights(before)
        raise ModelError(
            f"The weights in {path} do not fit {model.name}: {_first_line(error)}",
            hint="The file must come from the same model with the same input shape and number of classes.",
        ) from error
    theirs = other.get_weights()
    ours, others = [w.shape for w in before], [w.shape for w in theirs]
    if ours != others:
        unlike = next((pair for pair in zip(ours, others, strict=False) if pair[0] != pair[1]), None)
        detail = f"one is {unlike[1]} instead of {unlike[0]}" if unlike else "their number differs"
        raise ModelError(
            f"The weights in {path} ({len(others)}, of model {other.name}) do not fit {model.name} ({len(ours)}): "
            f"{detail}.",
            hint="The file must come from the same model with the same input shape and number of classes.",
        )
    model.set_weights(theirs)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
