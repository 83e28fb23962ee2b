"""The model zoo: a name, where its builder is, and what it costs."""

from __future__ import annotations

import difflib
import importlib
import inspect
import statistics
from collections.abc import Callable
from typing import Any

from edge_fm.models.architectures.keras_applications import APPLICATIONS, KINDS
from edge_fm.models.records import Record, other_records, shipped_records
from edge_fm.models.table import MODELS, ModelKind
from edge_fm_runtime.errors import ModelError

_BUILDERS = {
    "edgenet": "edgenet:build",
    "cnn": "cnn:build",
    "convnet5": "convnet5:build",
    "lenet": "lenet:build",
    "convnext": "transfer:build_averaged",
    "efficientnet-lite": "transfer:build_averaged",
    "efficientnet-v2": "transfer:build_averaged",
    "mobilenet": "transfer:build_mobilenet",
    "mobilenet-v3": "transfer:build_mobilenet_v3",
    "resnet": "transfer:build",
    "vgg": "transfer:build",
}
"""Family -> the function that builds it, imported on use. It takes the model's name and `build_model`'s arguments."""

_APPLICATION_BUILDER = "transfer:build_averaged"

FREEZE_OPTIONS = ("auto", "backbone", "none")
"""What a recipe may write for names of layers that are not trained."""


def model_names() -> tuple[str, ...]:
    """The models whose cost is listed; `application_names` are models too."""
    return tuple(MODELS)


def application_names() -> tuple[str, ...]:
    """The other networks of keras.applications."""
    return tuple(KINDS)


def find_name(name: str) -> str:
    """The name that a model is registered by; for backbones capitals, hyphens and underscores do not matter.

    Raises:
        ModelError: no such model; the hint names the nearest.

    Example:
        >>> find_name("ResNet50V2"), find_name("efficientnet_b0"), find_name("edgenet-s")
        ('resnet50-v2', 'efficientnet-b0', 'edgenet-s')
    """
    if name in MODELS or name in KINDS:
        return name
    spelled = {_letters(known): known for known in (*MODELS, *KINDS)}
    found = spelled.get(_letters(name))
    if found is not None and (found in KINDS or MODELS[found].backbone):  # keras.applications spells them otherwise
        return found
    near = difflib.get_close_matches(_letters(name), spelled, n=1, cutoff=0.5)
    raise ModelError(
        f"There is no model {name!r}. Supported: {', '.join(MODELS)}, and the networks of keras.applications.",
        hint=f"Did you mean {spelled[near[0]]!r}?" if near else "`edgefm models` describes them.",
    )


def find_model(name: str) -> ModelKind:
    """Look a model up, as `find_name` does.

    Raises:
        ModelError: no such model; the hint names the nearest.
    """
    name = find_name(name)
    return MODELS[name] if name in MODELS else KINDS[name]


def _letters(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def build_model(name: str, *, input_shape: tuple[int, int, int], classes: int, **options: Any) -> Any:
    """Build a model with fresh weights, drawn from Keras's global seed.

    Args:
        name: one of `model_names()` or `application_names()`.
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
    name = find_name(name)
    entry = find_model(name)
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise ModelError(f"The input shape is {input_shape}; supported: (height, width, channels), each at least 1.")
    if classes < 2:
        raise ModelError(f"A classifier of {classes} classes was asked for; it takes at least 2.")
    builder, known = _builder(entry), list(model_options(name))
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, known, n=1, cutoff=0.5)
            raise ModelError(
                f"{name} has no option {option!r}. Supported: {', '.join(known)}.",
                hint=f"Did you mean {near[0]!r}?" if near else None,
            )
    return builder(name, input_shape=tuple(input_shape), classes=classes, **options)


def model_options(name: str) -> dict[str, Any]:
    """The options that `build_model` takes for a model, and their defaults; None is the published value.

    Raises:
        ModelError: no such model.

    Example:
        >>> from edge_fm.models import model_options
        >>> model_options("convnet5")
        {'dense': 1000, 'dropout': 0.0}
    """
    parameters = inspect.signature(_builder(find_model(name))).parameters
    return {
        key: parameter.default
        for key, parameter in parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and key not in {"input_shape", "classes"}
    }


def _builder(entry: ModelKind) -> Callable[..., Any]:
    module, _, function = _BUILDERS.get(entry.family, _APPLICATION_BUILDER).partition(":")
    builder: Callable[..., Any] = getattr(importlib.import_module(f"edge_fm.models.architectures.{module}"), function)
    return builder


def describe_models() -> list[dict[str, Any]]:
    """Describe every model, as `edgefm models --json` prints it; what has no record is null.

    Example:
        >>> from edge_fm.models import describe_models
        >>> describe_models()[0]["family"]
        'edgenet'
    """
    records = shipped_records()
    return [
        {
            "name": name,
            "family": entry.family,
            "params": entry.params,
            "trainable": entry.trainable,
            "macs": entry.macs,
            "input": list(entry.input_shape),
            "classes": entry.classes,
            "options": {k: list(v) if isinstance(v, tuple) else v for k, v in model_options(name).items()},
            "weights": ["none", "imagenet", "FILE"] if entry.backbone else ["none", "FILE"],
            **_recorded(records.get(name)),
            "recipes": [_reached(record) for record in (*filter(None, [records.get(name)]), *other_records(name))],
            "source": entry.source,
        }
        for name, entry in MODELS.items()
    ]


def describe_applications() -> list[dict[str, Any]]:
    """Describe the other networks of keras.applications, as `edgefm models --json` prints them.

    Example:
        >>> from edge_fm.models import describe_applications
        >>> describe_applications()[0]["name"]
        'convnext-small'
    """
    return [
        {
            "name": name,
            "family": kind.family,
            "options": {k: list(v) if isinstance(v, tuple) else v for k, v in model_options(name).items()},
            "smallest_size": APPLICATIONS[name].smallest,
            "weights": ["none", "imagenet", "FILE"],
            "source": kind.source,
        }
        for name, kind in KINDS.items()
    ]


def _reached(record: Record) -> dict[str, Any]:
    """What a recipe reached, seed by seed, on what, and the median seconds of one training."""
    return {
        "recipe": record.recipe,
        "accuracy": record.accuracy,
        "seeds": {str(seed.seed): seed.accuracy for seed in record.seeds},
        "seconds": statistics.median_low(seed.seconds for seed in record.seeds),
        "trained_on": record.machine["training"],
    }


def _recorded(record: Record | None) -> dict[str, Any]:
    """Median accuracy of the seeds; of int8 ONNX its accuracy, bytes and latency."""
    int8 = record and record.exported("onnx", "int8")
    return {
        "accuracy": record and record.accuracy,
        "recipe": record and record.recipe,
        "int8_accuracy": int8 and int8.accuracy,
        "int8_bytes": int8 and int8.bytes,
        "int8_p50_ms": int8 and int8.p50_ms,
    }
