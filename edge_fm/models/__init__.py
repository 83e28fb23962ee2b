"""The model zoo: `build_model(name, input_shape=..., classes=...)`, and what each model costs."""

from edge_fm.models.registry import (
    FREEZE_OPTIONS,
    application_names,
    build_model,
    describe_applications,
    describe_models,
    find_model,
    find_name,
    model_names,
    model_options,
)
from edge_fm.models.table import MODELS, ModelEntry, ModelKind
from edge_fm_export.graph import count_macs

__all__ = [
    "FREEZE_OPTIONS",
    "MODELS",
    "ModelEntry",
    "ModelKind",
    "application_names",
    "build_model",
    "count_macs",
    "describe_applications",
    "describe_models",
    "find_model",
    "find_name",
    "model_names",
    "model_options",
]
