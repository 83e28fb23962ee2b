"""The logits of a finished run as they were trained: without the temperature that was put into its model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_fm.models.run_files import METRICS_FILE, MODEL_FILE
from edge_fm_export.scores.logits import divide_logits
from edge_fm_runtime.artifacts.sections import first_fault
from edge_fm_runtime.errors import ModelError
from edge_fm_runtime.system.json_text import parse_json


def undo_temperature(model: Any, file: Path) -> None:
    """Multiply the logits of a run's model by the run's temperature, in place; of any other model nothing is changed.

    A teacher's logits are softened by the temperature of its student's recipe alone, and training goes on from weights
    as training left them.

    Args:
        model: the Keras model in `file`.
        file: where it was read from; of a run, its metrics.json lies beside it.

    Raises:
        ModelError: metrics.json cannot be read.
    """
    metrics = file.with_name(METRICS_FILE)
    if file.name != MODEL_FILE or not metrics.is_file():
        return
    try:
        scores = parse_json(metrics.read_text("utf-8")).get("scores") or {}
        fault = first_fault("scores", scores)
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{metrics} cannot be read: {error}.", hint="Train the model again.") from error
    if fault is not None:
        raise ModelError(f"{metrics}: {fault[0]} must be {fault[1]}, got {fault[2]!r}.", hint="Train the model again.")
    divide_logits(model, 1 / scores.get("temperature", 1.0))
