"""`list_models`: the models that `train` knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, eq=False)
class ModelList:
    """The model zoo.

    Attributes:
        models: of each its name, parameters, input, options, source, and what was measured.
        applications: the other networks of keras.applications: of each its name, family, options, the smallest size
            that it takes, and its source.
    """

    models: tuple[Mapping[str, Any], ...]
    applications: tuple[Mapping[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm models --json` prints."""
        return {"models": list(self.models), "applications": list(self.applications)}


def list_models() -> ModelList:
    """Describe every model, for the input and the number of classes that stand beside its figures."""
    from edge_fm.models import describe_applications, describe_models

    return ModelList(tuple(describe_models()), tuple(describe_applications()))


def plot_models(file: Path) -> None:
    """Draw accuracy against parameters, multiply-accumulates, int8 bytes and latency, as .png, .svg or .pdf."""
    from edge_fm.evaluation.pareto import plot_pareto
    from edge_fm.models.records import published_points, shipped_records

    plot_pareto(shipped_records(), published_points(), file)
