"""The model zoo: a name, where its builder is, and what it costs."""

from __future__ import annotations

import difflib
import importlib
import inspect
from dataclasses import dataclass
from typing import Any

from edge_fm_runtime.errors import ModelError


@dataclass(frozen=True)
class ModelEntry:
    """What the registry knows of a model without building it.

    Attributes:
        family: models that differ in size alone share one.
        builder: `"module:function"`, imported on use; called with the model's name and `build_model`'s arguments.
        input_shape: height, width, channels that `params` and `macs` are counted for.
        classes: number of classes that they are counted for.
        params: weights, the untrained ones included.
        macs: multiply-accumulates of one image.
        source: where the architecture comes from.
        backbone: whether it is a network of its own, for which ImageNet weights are published, under a small head.
        trained: stages of the backbone that the model's publication trained together with the head.
    """

    family: str
    builder: str
    input_shape: tuple[int, int, int]
    classes: int
    params: int
    macs: int
    source: str
    backbone: bool = False
    trained: tuple[str, ...] = ()


FREEZE_WORDS = ("auto", "backbone", "none")
"""What a recipe may write for names of layers that are not trained."""

# Figures stand here so that `edgefm models` answers at once and without Keras; a test builds every model and compares.
MODELS: dict[str, ModelEntry] = {
    "edgenet-s": ModelEntry(
        family="edgenet",
        builder="edge_fm.models.edgenet:build",
        input_shape=(28, 28, 1),
        classes=10,
        params=85_786,
        macs=7_442_368,
        source="EdgeFM",
    ),
}


def model_names() -> tuple[str, ...]:
    """Every name that `build_model` takes."""
    return tuple(MODELS)


def find_model(name: str) -> ModelEntry:
    """Look a model up.

    Raises:
        ModelError: no such model; the hint names the nearest.
    """
    if name not in MODELS:
        near = difflib.get_close_matches(name.lower(), MODELS, n=1, cutoff=0.5)
        raise ModelError(
            f"There is no model {name!r}. Supported: {', '.join(MODELS)}.",
            hint=f"Did you mean {near[0]!r}?" if near else "`edgefm models` describes them.",
        )
    return MODELS[name]


def build_model(name: str, *, input_shape: tuple[int, int, int], classes: int, **options: Any) -> Any:
    """Build a model with fresh weights, drawn from Keras's global seed.

    Args:
        name: one of `model_names()`.
        input_shape: height, width, channels of the uint8 images.
        classes: number of classes, at least 2.
        options: the family's own, such as `dropout` for EdgeNet.

    Returns:
        keras.Model: uint8 `[N,H,W,C]` named "image" -> float32 `[N,classes]` named "probabilities"; not compiled.

    Raises:
        ModelError: unknown model or option, or a shape that the model cannot take.
        MissingDependencyError: Keras or its backend is not installed.

    Example:
        >>> from edge_fm.models import build_model
        >>> build_model("edgenet-s", input_shape=(28, 28, 1), classes=10).output_shape
        (None, 10)
    """
    entry = find_model(name)
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise ModelError(f"The input shape is {input_shape}; supported: (height, width, channels), each at least 1.")
    if classes < 2:
        raise ModelError(f"A classifier of {classes} classes was asked for; it takes at least 2.")
    module, _, function = entry.builder.partition(":")
    builder = getattr(importlib.import_module(module), function)
    known = [
        key
        for key, parameter in inspect.signature(builder).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and key not in {"input_shape", "classes"}
    ]
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, known, n=1, cutoff=0.5)
            raise ModelError(
                f"{name} has no option {option!r}. Supported: {', '.join(known)}.",
                hint=f"Did you mean {near[0]!r}?" if near else None,
            )
    return builder(name, input_shape=tuple(input_shape), classes=classes, **options)


def describe_models() -> list[dict[str, Any]]:
    """Describe every model, as `edgefm models --json` prints it; accuracy and int8 size are null until measured.

    Example:
        >>> from edge_fm.models import describe_models
        >>> describe_models()[0]["family"]
        'edgenet'
    """
    return [
        {
            "name": name,
            "family": entry.family,
            "params": entry.params,
            "macs": entry.macs,
            "input": list(entry.input_shape),
            "accuracy": None,
            "int8_bytes": None,
            "source": entry.source,
        }
        for name, entry in MODELS.items()
    ]
