"""The model zoo: `build_model(name, input_shape=..., classes=...)`, and what each model costs."""

from edge_fm.models.registry import (
    FREEZE_OPTIONS,
    build_model,
    describe_models,
    find_model,
    model_names,
    model_options,
)
from edge_fm.models.table import MODELS, ModelEntry
from edge_fm_export.graph import count_macs

__all__ = [
    "FREEZE_OPTIONS",
    "MODELS",
    "ModelEntry",
    "build_model",
    "count_macs",
    "describe_models",
    "find_model",
    "model_names",
    "model_options",
]
