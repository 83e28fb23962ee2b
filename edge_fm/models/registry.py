"""The model zoo: a name, where its builder is, and what it costs."""

from __future__ import annotations

import difflib
import importlib
import inspect
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge_fm.models.records import Record, kept_records, other_records
from edge_fm_runtime.errors import ModelError


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """What the registry knows of a model without building it.

    Attributes:
        family: models that differ in size alone share one, and a builder.
        params: weights, the untrained ones included.
        trainable: those that training changes when nothing is frozen.
        macs: multiply-accumulates of one image.
        source: where the architecture comes from.
        input_shape: height, width, channels that `params` and `macs` are counted for.
        classes: number of classes that they are counted for.
        backbone: whether it is a network of its own, for which ImageNet weights are published, under a small head.
        trained: stages of the backbone that the model's publication trained together with the head.
    """

    family: str
    params: int
    trainable: int
    macs: int
    source: str
    input_shape: tuple[int, int, int] = (28, 28, 1)
    classes: int = 10
    backbone: bool = False
    trained: tuple[str, ...] = ()


_BUILDERS = {
    "edgenet": "edgenet:build",
    "cnn": "cnn:build",
    "convnet5": "convnet5:build",
    "lenet": "lenet:build",
    "mobilenet": "transfer:build_mobilenet",
    "resnet": "transfer:build",
    "vgg": "transfer:build",
}
"""Family -> the function that builds it, imported on use. It takes the model's name and `build_model`'s arguments."""

_REPORT = "a Fashion-MNIST report"
FREEZE_OPTIONS = ("auto", "backbone", "none")
"""What a recipe may write for names of layers that are not trained."""

# Figures stand here so that `edgefm models` answers at once and without Keras; a test builds every model and compares.
MODELS: dict[str, ModelEntry] = {
    "edgenet-n": ModelEntry(family="edgenet", params=24_018, trainable=23_618, macs=2_792_928, source="EdgeFM"),
    "edgenet-s": ModelEntry(family="edgenet", params=90_522, trainable=89_722, macs=11_055_040, source="EdgeFM"),
    "edgenet-m": ModelEntry(family="edgenet", params=265_106, trainable=263_730, macs=31_632_696, source="EdgeFM"),
    "edgenet-l": ModelEntry(family="edgenet", params=1_594_730, trainable=1_591_146, macs=157_388_352, source="EdgeFM"),
    "cnn2-dense": ModelEntry(family="cnn", params=565_386, trainable=565_386, macs=2_970_752, source=_REPORT),
    "cnn3-dropout": ModelEntry(family="cnn", params=590_346, trainable=590_346, macs=3_585_152, source=_REPORT),
    "cnn3": ModelEntry(family="cnn", params=240_901, trainable=240_901, macs=3_236_608, source=_REPORT, classes=5),
    "cnn3-bn": ModelEntry(family="cnn", params=242_309, trainable=241_605, macs=3_236_608, source=_REPORT, classes=5),
    "cnn4-bn": ModelEntry(
        family="cnn", params=1_220_901, trainable=1_219_109, macs=13_179_648, source=_REPORT, classes=5
    ),
    "cnn4-l2": ModelEntry(
        family="cnn", params=3_383_589, trainable=3_381_797, macs=28_791_936, source=_REPORT, classes=5
    ),
    "convnet5": ModelEntry(family="convnet5", params=3_199_490, trainable=3_199_298, macs=13_808_400, source=_REPORT),
    "lenet5": ModelEntry(
        family="lenet", params=61_706, trainable=61_706, macs=416_520, source="LeCun 1998, 10.1109/5.726791"
    ),
    "mobilenet": ModelEntry(
        family="mobilenet",
        params=3_493_834,
        trainable=3_471_946,
        macs=185_641_472,
        source="Howard 2017, arXiv:1704.04861",
        backbone=True,
    ),
    "mobilenet-v2": ModelEntry(
        family="mobilenet",
        params=2_588_490,
        trainable=2_554_378,
        macs=98_124_288,
        source="Sandler 2018, arXiv:1801.04381",
        backbone=True,
    ),
    "resnet18": ModelEntry(
        family="resnet",
        params=11_191_242,
        trainable=11_181_642,
        macs=37_016_576,
        source="He 2015, arXiv:1512.03385",
        backbone=True,
        trained=("layer4",),
    ),
    "resnet50": ModelEntry(
        family="resnet",
        params=23_597_957,
        trainable=23_544_837,
        macs=78_702_592,
        source="He 2015, arXiv:1512.03385",
        classes=5,
        backbone=True,
    ),
    "resnet152-v2": ModelEntry(
        family="resnet",
        params=58_352_138,
        trainable=58_208_394,
        macs=222_564_352,
        source="He 2016, arXiv:1603.05027",
        backbone=True,
    ),
    "vgg16": ModelEntry(
        family="vgg",
        params=14_717_253,
        trainable=14_717_253,
        macs=313_199_104,
        source="Simonyan 2014, arXiv:1409.1556",
        classes=5,
        backbone=True,
    ),
    "vgg19": ModelEntry(
        family="vgg",
        params=20_029_514,
        trainable=20_029_514,
        macs=398_136_320,
        source="Simonyan 2014, arXiv:1409.1556",
        backbone=True,
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


def _builder(entry: ModelEntry) -> Callable[..., Any]:
    module, _, function = _BUILDERS[entry.family].partition(":")
    builder: Callable[..., Any] = getattr(importlib.import_module(f"edge_fm.models.architectures.{module}"), function)
    return builder


def describe_models() -> list[dict[str, Any]]:
    """Describe every model, as `edgefm models --json` prints it; what has no record is null.

    Example:
        >>> from edge_fm.models import describe_models
        >>> describe_models()[0]["family"]
        'edgenet'
    """
    records = kept_records()
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
