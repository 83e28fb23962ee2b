"""What a Keras classifier predicts: one class of many, or any number of labels."""

from __future__ import annotations

from typing import Any

from edge_fm_export.compat.keras_internals import producer
from edge_fm_export.compat.tensorflow_setup import import_keras
from edge_fm_export.context import SourceModel
from edge_fm_runtime.artifacts.metadata import MULTI_LABEL, Task
from edge_fm_runtime.multi_label import DEFAULT_THRESHOLD

_UNCHANGED = ("Cast", "Reshape", "Flatten", "Identity")


def task_of(model: Any) -> Task | None:
    """The task of a Keras model that returns `[N,classes]`: "multi-label" where it ends in a sigmoid for each.

    Args:
        model: with one output of two or more classes.
    """
    keras = import_keras()
    (tensor,) = model.outputs
    while True:
        operation, inputs = producer(tensor)
        activation = getattr(getattr(operation, "activation", None), "__name__", "linear")
        kind = type(operation).__name__
        if isinstance(operation, keras.Model):
            if len(operation.outputs) != 1:
                return None
            (tensor,) = operation.outputs
        elif activation == "sigmoid" or kind == "Sigmoid":
            return MULTI_LABEL
        elif (kind in _UNCHANGED or kind == "Activation") and activation == "linear" and len(inputs) == 1:
            (tensor,) = inputs
        else:
            return None


def source_thresholds(source: SourceModel) -> tuple[float, ...]:
    """The threshold of each label of a multi-label model; 0.5 where none was fitted."""
    recorded = (source.scores or {}).get("label_thresholds") or {}
    return tuple(recorded.get("values") or [DEFAULT_THRESHOLD] * len(source.labels))


def thresholds_record(values: tuple[float, ...], *, n: int, dataset: str) -> dict[str, object]:
    """The section `scores` of the metadata of a multi-label model."""
    return {"label_thresholds": {"values": list(values), "dataset": dataset, "n": n}}
