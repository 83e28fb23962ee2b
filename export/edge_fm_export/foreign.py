"""Make anybody's Keras classifier a model of ours: uint8 pixels in, probabilities out, scaling inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export import safety
from edge_fm_export.context import SourceModel
from edge_fm_export.foreign_files import find_saved_model, load_model, name_of
from edge_fm_export.keras_file import sha256_of
from edge_fm_export.presets import Preprocessing, apply_preprocessing, family_of
from edge_fm_export.sources import labels_or_numbers
from edge_fm_export.tensorflow_setup import quiet, require_tensorflow
from edge_fm_runtime.errors import ModelError
from edge_fm_runtime.metadata import InputSpec, PhotoSpec

__all__ = ["find_saved_model", "load_foreign", "safety"]

_SCALING_LAYERS = ("Rescaling", "Normalization")
_TRANSPARENT_LAYERS = ("InputLayer", "ZeroPadding2D", "Resizing", "CenterCrop", "Identity", "Dropout", "Permute")
_SUM_TOLERANCE = 1e-3
_PROBES = 16


@dataclass(frozen=True)
class _Shape:
    """One image of the model's input, as far as the model says."""

    height: int | None
    width: int | None
    channels: int | None
    dtype: str


def load_foreign(
    path: str | Path,
    *,
    model: Any = None,
    labels: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
    trust: bool = False,
    photo: PhotoSpec | None = None,
    input_size: tuple[int, int] | None = None,
) -> SourceModel:
    """Open a stranger's classifier and wrap it so that it follows our contract.

    Logits (found by answering a few images) get a softmax, a single sigmoid becomes two classes, and what pixels need
    goes in front. Everything added is told in the result's `notes`.

    Args:
        path: a `.keras` or `.h5` file, a SavedModel folder, or TensorFlow Serving's folder of numbered ones.
        model: the Keras model, where it has been loaded from `path` already.
        labels: one for each class; None names them class_0, class_1, ...
        preprocessing: what the model wants done to pixels; None leaves them 0..255, as floats.
        trust: run code that the file carries.
        photo: how a photo becomes the input.
        input_size: height and width, for models that take any.

    Raises:
        ModelError: no image classifier (says why), labels of another number, code that nobody vouched for.
        MissingDependencyError: Keras or TensorFlow is not installed.

    Example:
        >>> load_foreign("mobilenet.keras", preprocessing=find_preset("mobilenet_v2"))  # doctest: +SKIP
    """
    path = Path(path)
    _, keras = require_tensorflow("loading a Keras model")
    if model is None:
        model = load_model(path, trust=trust)
    shape = _input_shape(model, path, input_size)
    inner, classes = _classes(keras, model, shape, path)
    notes: list[str] = []
    image = keras.Input((shape.height, shape.width, shape.channels), dtype="uint8", name="image")
    pixels = _pixels(keras, image, model, shape, preprocessing, path, notes)
    answer = model(pixels)
    answer = inner(answer) if inner is not None else answer
    scores = keras.Model(image, answer)
    probabilities = _probabilities(keras, scores, model, classes, path, notes)
    wrapped = keras.Model(image, probabilities, name="classifier")
    count = 2 if classes == 1 else classes
    return SourceModel(
        name=name_of(path),
        model=wrapped,
        input=InputSpec(shape.height or 0, shape.width or 0, shape.channels or 0),
        labels=labels_or_numbers(labels, count, path),
        named=labels is not None,
        photo=photo or PhotoSpec(),
        sha256=sha256_of(path),
        notes=tuple(notes),
        preprocessing=None if preprocessing is None else preprocessing.to_json(),
    )


def _input_shape(model: Any, path: Path, input_size: tuple[int, int] | None) -> _Shape:
    """What the model takes, with `input_size` put in where it takes any size."""
    hint = "A classifier of images takes one tensor [N,height,width,channels]."
    shapes, dtypes, names = _inputs(model)
    if not shapes:
        raise ModelError(
            f"{path} does not say what it takes: it was saved before it had seen an image.",
            hint="Call the model on one image, or model.build((None, height, width, channels)), and save it again.",
        )
    if len(shapes) != 1:
        told = ", ".join(f"{name} {_told(s)}" for name, s in zip(names, shapes, strict=True))
        raise ModelError(
            f"{path} takes {len(shapes)} inputs: {told}.",
            hint=hint + " Wrap it in one that computes the other inputs, or makes them constants.",
        )
    shape = shapes[0]
    if len(shape) != 4:
        raise ModelError(f"{path} takes {_told(shape)}, not an image.", hint=hint)
    _, height, width, channels = shape
    first = height in (1, 3, 4) and (channels is None or channels > 4)
    if first or _channels_first(model):
        raise ModelError(
            f"{path} takes channels first, {_told(shape)}; supported is channels last, [N,height,width,channels].",
            hint="Build it with keras.config.set_image_data_format('channels_last') and set its weights.",
        )
    if channels is None:
        raise ModelError(f"{path} takes {_told(shape)}: the number of channels is open.", hint=hint)
    if input_size is not None:
        fixed = (height or input_size[0], width or input_size[1])
        if min(input_size) < 1 or fixed != tuple(input_size):
            raise ModelError(
                f"The input size {input_size[0]}x{input_size[1]} was asked for; {path} takes {_told(shape)}.",
                hint="Leave out --input-size: the model has its own.",
            )
        height, width = fixed
    if height is None or width is None:
        raise ModelError(
            f"{path} takes images of any size, {_told(shape)}; an artifact has one.",
            hint="Say which: --input-size HEIGHTxWIDTH, such as 224x224",
        )
    return _Shape(height, width, channels, dtypes[0])


def _inputs(model: Any) -> tuple[list[tuple[int | None, ...]], list[str], list[str]]:
    """Shapes, dtypes and names of the inputs."""
    tensors = getattr(model, "inputs", None)
    if tensors:
        names = [getattr(t, "name", "") for t in tensors]
        return [tuple(t.shape) for t in tensors], [str(t.dtype) for t in tensors], names
    # A subclassed model knows the shape that it was built with.
    config = model.get_build_config() or {}
    shape = config.get("input_shape")
    if shape is None:
        many = config.get("shapes_dict") or {}
        shapes = [tuple(s) for s in many.values() if isinstance(s, list | tuple)]
        return shapes, ["float32"] * len(shapes), list(many)
    if isinstance(shape, list | tuple) and all(s is None or isinstance(s, int) for s in shape):
        return [tuple(shape)], [str(model.compute_dtype)], ["inputs"]
    shapes = [tuple(s) for s in (shape.values() if isinstance(shape, dict) else shape)]
    return shapes, ["float32"] * len(shapes), [str(i) for i in range(len(shapes))]


def _channels_first(model: Any) -> bool:
    layers = model._flatten_layers() if hasattr(model, "_flatten_layers") else ()
    return any(getattr(layer, "data_format", None) == "channels_first" for layer in layers)


def _classes(keras: Any, model: Any, shape: _Shape, path: Path) -> tuple[Any, int]:
    """The number of classes, and what picks the answer out of a dict or list of one; refuses all but classifiers."""
    if model.count_params() == 0 and not getattr(model, "holds_frozen_graph", False):
        raise ModelError(f"{path} has no weights: there is nothing to export.", hint="Train it, and save it again.")
    image = keras.KerasTensor((None, shape.height, shape.width, shape.channels), dtype=shape.dtype)
    try:
        answer = model(image)
    except Exception as error:
        raise ModelError(
            f"{path} does not take images of {shape.height}x{shape.width}x{shape.channels}: {_brief(error)}",
            hint="Give the size that it was trained on: --input-size HEIGHTxWIDTH",
        ) from error
    flat = keras.tree.flatten(answer)
    hint = "A classifier answers one tensor [N,classes]."
    if len(flat) != 1:
        told = ", ".join(_told(tuple(t.shape)) for t in flat)
        raise ModelError(
            f"{path} has {len(flat)} outputs: {told}.",
            hint=hint + " Take the one with the classes: keras.Model(model.input, model.output[0])",
        )
    answered = tuple(flat[0].shape)
    if len(answered) != 2 or answered[1] is None or answered[1] < 1:
        kind = {3: "a sequence", 4: "a map of features or segments"}.get(len(answered), "no classes")
        raise ModelError(
            f"{path} answers {_told(answered)}, {kind}.",
            hint=hint + " A backbone needs a head: GlobalAveragePooling2D and Dense(classes, activation='softmax').",
        )
    nested = answer is not flat[0]
    return (lambda value: keras.tree.flatten(value)[0]) if nested else None, int(answered[1])


def _pixels(
    keras: Any,
    image: Any,
    model: Any,
    shape: _Shape,
    preprocessing: Preprocessing | None,
    path: Path,
    notes: list[str],
) -> Any:
    """The tensor that the model takes, from uint8 pixels."""
    if not shape.dtype.startswith(("float", "bfloat")):
        if preprocessing is not None and not preprocessing.identity:
            raise ModelError(
                f"{path} takes {shape.dtype} pixels, so they cannot be scaled in front of it.",
                hint="Leave out --preset, --input-scale, --mean and --std: its scaling is inside.",
            )
        return image if shape.dtype == "uint8" else keras.ops.cast(image, shape.dtype)
    scaling = scaling_inside(model)
    if preprocessing is None:
        notes.append(_note_on_raw(model, path, scaling))
        return keras.ops.cast(image, shape.dtype)
    if not preprocessing.identity and scaling is not None:
        notes.append(
            f"The model scales its input itself ({scaling}), and the preprocessing {preprocessing.name!r} comes "
            "before that: check that this is how it was trained."
        )
    notes.append(f"Preprocessing {preprocessing.name!r} was put into the graph: {preprocessing.describe()}.")
    return apply_preprocessing(keras, image, preprocessing, int(shape.channels or 0), shape.dtype)


def scaling_inside(model: Any) -> str | None:
    """Name of the Rescaling or Normalization layer that a model's pixels meet first, or None.

    Followed through layers that leave values alone, and into models used as layers.
    """
    layers = list(getattr(model, "layers", ()))
    for layer in layers:
        kind = type(layer).__name__
        if kind in _SCALING_LAYERS:
            return str(layer.name)
        if kind in _TRANSPARENT_LAYERS:
            continue
        return scaling_inside(layer) if getattr(layer, "layers", None) else None
    return None


def _note_on_raw(model: Any, path: Path, scaling: str | None) -> str:
    if scaling is not None:
        return f"The model scales its input itself ({scaling}): it gets pixels 0..255 as floats."
    family = family_of(str(getattr(model, "name", ""))) or family_of(path.stem)
    advice = f"--preset {family}" if family else "--preset NAME, or --input-scale 1/255"
    return (
        "No preprocessing was given and the model starts without any: it gets pixels 0..255 as floats. "
        f"If it was trained on scaled pixels its answers will be wrong; say how with {advice}."
    )


def _probabilities(keras: Any, scores: Any, model: Any, classes: int, path: Path, notes: list[str]) -> Any:
    """The symbolic answer as float32 probabilities named `probabilities`."""
    values = _probe(scores, path)
    inside = bool((values >= -_SUM_TOLERANCE).all() and (values <= 1.0 + _SUM_TOLERANCE).all())
    answer = keras.ops.cast(scores.output, "float32") if scores.output.dtype != "float32" else scores.output
    activation = _last_activation(model)
    if classes == 1:
        if activation == "linear" or not inside:
            answer = keras.layers.Activation("sigmoid", dtype="float32")(answer)
            notes.append("The single answer is a logit: a sigmoid was added.")
        notes.append("The model answers one probability p: it became two classes, 1-p and p.")
        return keras.layers.Concatenate(name="probabilities", dtype="float32")([1.0 - answer, answer])
    if inside and bool((np.abs(values.sum(axis=1) - 1.0) <= _SUM_TOLERANCE).all()):
        return keras.layers.Activation("linear", name="probabilities", dtype="float32")(answer)
    if activation == "sigmoid" or (inside and activation is None):
        raise ModelError(
            f"{path} answers {classes} values between 0 and 1 that do not add up to 1: each class is judged alone "
            "(multi-label), which is not supported.",
            hint="Supported are one class of many (softmax or logits) and yes or no (a single sigmoid).",
        )
    notes.append("The model answers logits (its rows do not add up to 1): a softmax was added.")
    return keras.layers.Softmax(name="probabilities", dtype="float32")(answer)


def _probe(scores: Any, path: Path) -> npt.NDArray[np.float32]:
    """Answers to a few images: noise, and plain ones from black to white."""
    shape = tuple(int(side) for side in scores.input.shape[1:])
    noise = np.random.default_rng(0).integers(0, 256, (_PROBES // 2, *shape), dtype=np.uint8)
    plain = np.linspace(0, 255, _PROBES // 2).astype(np.uint8).reshape(-1, 1, 1, 1)
    images = np.concatenate([noise, np.broadcast_to(plain, (len(plain), *shape))])
    with quiet():
        values = np.asarray(scores(images, training=False), dtype=np.float32)
    if not np.isfinite(values).all():
        raise ModelError(
            f"{path} answers NaN or infinity to plain images.",
            hint="Check its weights and what it wants done to pixels: --preset NAME, or --input-scale 1/255",
        )
    return values


def _last_activation(model: Any) -> str | None:
    """The activation that ends the model, such as "softmax"; None where the model does not show its layers."""
    layers = list(getattr(model, "layers", ()))
    outputs = getattr(model, "outputs", None)
    if not layers or not outputs or len(outputs) != 1:
        return None
    producer = getattr(outputs[0], "_keras_history", None)
    last = producer.operation if producer is not None else layers[-1]
    if getattr(last, "layers", None):
        return _last_activation(last)
    kind = type(last).__name__
    if kind in ("Softmax", "Sigmoid"):
        return kind.lower()
    activation = getattr(last, "activation", None)
    return str(getattr(activation, "__name__", activation)) if activation is not None else None


def _told(shape: Sequence[int | None]) -> str:
    return (
        "[" + ",".join("N" if i == 0 and s is None else "?" if s is None else str(s) for i, s in enumerate(shape)) + "]"
    )


def _brief(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
