"""What is known of the training behind a model of ours, to say why it may know little."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_fm_runtime.system.json_text import parse_json

_LEAST_EPOCHS, _TIMES = 10, 5
"""How many epochs are advised: at least so many, and so many times those before."""


@dataclass(frozen=True)
class OwnTraining:
    """What is known of the training of a model of ours.

    Attributes:
        model: name of the model that was trained.
        data: name of the dataset.
        source: where its images lie; None where that is not known.
        epochs: passes over them; None where that is not known.
        accuracy: share of the training images that the model is right on; None where that is not known.
        recipe: the recipe in the run's folder; None where there is none.
    """

    model: str
    data: str
    source: str | None = None
    epochs: int | None = None
    accuracy: float | None = None
    recipe: Path | None = None

    def again(self) -> str:
        """The command that trains longer."""
        what = f"--recipe {shlex.quote(str(self.recipe))}"
        if self.recipe is None:
            what = f"--model {self.model} --data {shlex.quote(self.source or self.data)}"
        return f"edgefm train {what} --epochs {max(_LEAST_EPOCHS, _TIMES * (self.epochs or 0))}"


def own_training(training: Mapping[str, Any] | None, run: Path | None) -> OwnTraining | None:
    """Gather what an artifact's metadata and the run's folder say of a training.

    Args:
        training: as metadata hold it, checked; None for a third-party model.
        run: the run's folder, where it is at hand; its metrics know more than an artifact that has travelled.

    Example:
        >>> own_training({"model": "lenet5", "epochs": 1, "data": {"name": "fashion-mnist"}}, None).again()
        'edgefm train --model lenet5 --data fashion-mnist --epochs 10'
    """
    data = (training or {}).get("data")
    if training is None or not isinstance(data, Mapping) or "name" not in data or "model" not in training:
        return None
    metrics: Any = {}
    if run is not None and (file := run / "metrics.json").is_file():
        metrics = parse_json(file.read_bytes())
    accuracy = metrics.get("train_accuracy")
    recipe = None if run is None else run / "recipe.toml"
    return OwnTraining(
        model=training["model"],
        data=data["name"],
        source=data.get("source"),
        epochs=training.get("epochs"),
        accuracy=accuracy if isinstance(accuracy, float) else None,
        recipe=recipe if recipe is not None and recipe.is_file() else None,
    )
