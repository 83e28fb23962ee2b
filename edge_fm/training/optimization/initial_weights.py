"""Weights into a fresh model: a whole model's, or those of its backbone alone."""

from __future__ import annotations

import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge_fm.models import efficientnet_lite_weights, find_model, find_name, model_options
from edge_fm.models.architectures import efficientnet_lite
from edge_fm.models.architectures.backbones import build_backbone, imagenet_file
from edge_fm.models.architectures.keras_applications import divide_as_published
from edge_fm.models.keras_import import require_keras
from edge_fm.models.published_weights import copy_backbone, fetch_weights
from edge_fm.models.records import trained_model
from edge_fm.models.run_files import MODEL_FILE
from edge_fm.models.trained_logits import undo_temperature
from edge_fm.models.weight_shapes import Shapes, differences, file_shapes, shapes_of
from edge_fm_export.third_party_models.keras_file import read_config
from edge_fm_export.third_party_models.safety import require_plain
from edge_fm_runtime.errors import ModelError
from edge_fm_runtime.system.brief_errors import brief

_SUFFIXES = (".weights.h5", ".h5", ".keras", ".pth")


def load_weights(model: Any, source: str, *, name: str = "", options: Mapping[str, Any] | None = None) -> str | None:
    """Load `source` into `model`, every weight or none.

    Args:
        model: a built Keras model.
        source: "none"; "imagenet" for the published weights of the model's backbone; a run, or the name of a trained
            model that comes with the package; or a `.weights.h5`, `.h5` or `.keras` file with the weights of the same
            architecture, or of its backbone with or without the ImageNet classifier; or for EfficientNet-Lite a PyTorch
            state dict (`.pth`).
        name: of the model in the registry; without it only whole files fit.
        options: what the model was built with.

    Returns:
        What was loaded, in one sentence, where it is not the whole model.

    Raises:
        ModelError: no such file, another kind of file, weights of other shapes, or a download that fails.
    """
    if source == "none":
        return None
    name = find_name(name) if name else ""
    backbone = _backbone_builder(name, options or {})
    if source == "imagenet":
        if backbone is None:
            raise ModelError(f"There are no ImageNet weights for {name or model.name}. Supported: none, FILE.")
        known = {**model_options(name), **(options or {})}
        if name in efficientnet_lite.VARIANTS:
            path = efficientnet_lite_weights.published_file(name)
        else:
            path = fetch_weights(imagenet_file(name, side=known["size"], alpha=known.get("alpha", 1.0)))
    else:
        path = trained_model(source)
        path = path / MODEL_FILE if path.is_dir() else path
        if not path.name.endswith(_SUFFIXES):
            raise ModelError(
                f"The weights are {source!r}. Supported: none, imagenet (for models with a backbone), or a file "
                f"{', '.join(_SUFFIXES)}."
            )
        if not path.is_file():
            raise ModelError(f"There is no file {path} to load weights from.", hint="Check the path, or leave it out.")
    if path.suffix == ".pth":
        return _load_torch(model, path, name, backbone)
    load = _load_keras if path.suffix == ".keras" else _load_h5
    return load(model, path, name, backbone)


def check_weights(name: str, source: str) -> None:
    """Check, before hours of reading, that weights which no host delivers are there.

    Args:
        name: of the model.
        source: as for `load_weights`.

    Raises:
        ModelError: the package that carries them is not installed, or has been changed.
    """
    if source == "imagenet" and name in efficientnet_lite.VARIANTS:
        efficientnet_lite_weights.published_file(name)


_Builder = Callable[[bool], Any]


def _backbone_builder(name: str, options: Mapping[str, Any]) -> _Builder | None:
    """A function that builds the model's backbone alone, with its ImageNet classifier or without."""
    if not name or not find_model(name).backbone:
        return None
    known = {**model_options(name), **options}
    return lambda top: build_backbone(name, side=known["size"], alpha=float(known.get("alpha", 1.0)), top=top)


def _load_h5(model: Any, path: Path, name: str, backbone: _Builder | None) -> str | None:
    theirs = file_shapes(path)
    if theirs == shapes_of(model.weights):
        _fill(model, path)
        return None
    alone = backbone(False) if backbone else None
    if backbone is None or alone is None:
        raise _mismatch(path, theirs, model)
    if theirs == shapes_of(alone.weights):
        _fill(alone, path)
        divide_as_published(name, alone)
        copy_backbone(alone.layers, model)
        return f"The backbone's weights are from {path}; the head's are fresh."
    # The classifier is large, so it is built only where it can fit.
    if not shapes_of(alone.weights) - theirs:
        whole = backbone(True)
        if theirs == shapes_of(whole.weights):
            _fill(whole, path)
            divide_as_published(name, whole)
            layers = [layer for layer in whole.layers if layer.weights]
            copy_backbone(layers[: sum(bool(layer.weights) for layer in alone.layers)], model)
            return f"The backbone's weights are from {path}, its ImageNet classifier left out; the head's are fresh."
    raise _mismatch(path, theirs, alone, backbone_of=model.name)


def _load_torch(model: Any, path: Path, name: str, backbone: _Builder | None) -> str:
    if backbone is None or name not in efficientnet_lite.VARIANTS:
        raise ModelError(
            f"{path} is a PyTorch state dict, which is read for {', '.join(efficientnet_lite.VARIANTS)} alone; "
            f"the model is {name or model.name}.",
            hint=f"Give {', '.join(_SUFFIXES[:-1])}.",
        )
    alone = backbone(False)
    efficientnet_lite_weights.set_arrays(alone, efficientnet_lite_weights.keras_arrays(path, name), path)
    copy_backbone(alone.layers, model)
    return f"The backbone's weights are from {path}, its ImageNet classifier left out; the head's are fresh."


def _load_keras(model: Any, path: Path, name: str, backbone: _Builder | None) -> str | None:
    keras = require_keras("training")
    require_plain(
        read_config(path),
        path,
        advice="If you trust who made it, take the weights alone: model.save_weights('model.weights.h5')",
    )
    try:
        other = keras.models.load_model(path, compile=False)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} cannot be read as a Keras model: {brief(error)}") from error
    theirs = [tuple(w.shape) for w in other.weights]
    if theirs == [tuple(w.shape) for w in model.weights]:
        undo_temperature(other, path)
        model.set_weights(other.get_weights())
        return None
    alone = backbone(False) if backbone else None
    if alone is not None and theirs == [tuple(w.shape) for w in alone.weights]:
        alone.set_weights(other.get_weights())
        divide_as_published(name, alone)
        copy_backbone(alone.layers, model)
        return f"The backbone's weights are from {path}; the head's are fresh."
    if alone is not None:
        raise _mismatch(path, Counter(theirs), alone, backbone_of=model.name)
    raise _mismatch(path, Counter(theirs), model)


def _fill(model: Any, path: Path) -> None:
    """Load a file whose shapes fit into a model, and put its own weights back if their places do not."""
    before = model.get_weights()
    try:
        with warnings.catch_warnings():
            # Keras only warns where a file has nothing for some layers.
            warnings.simplefilter("error", UserWarning)
            model.load_weights(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UserWarning) as error:
        model.set_weights(before)
        raise ModelError(
            f"The weights in {path} do not fit {model.name}: {brief(error)}",
            hint="The file must come from the same model with the same input shape and number of classes.",
        ) from error


def _mismatch(path: Path, theirs: Shapes, model: Any, *, backbone_of: str = "") -> ModelError:
    ours = shapes_of(model.weights)
    where = f"fit neither {backbone_of} nor its backbone" if backbone_of else f"do not fit {model.name}"
    detail = differences(theirs, ours) or "they are in another order"
    return ModelError(
        f"The {theirs.total()} weights in {path} {where} ({ours.total()} weights): {detail}.",
        hint="The file must come from the same model with the same options, input shape and number of classes"
        + (", or from its backbone." if backbone_of else "."),
    )
