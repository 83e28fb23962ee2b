"""What a prediction needs of a model's description: not how the model was trained.

A compile configuration names losses, metrics, optimizers and schedules, often of a person's own, whose code is not in
the file. Keras leaves the outermost one out on request (`compile=False`), but not those of models used as layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_fm_export.compat.tensorflow_setup import import_keras

_COMPILE = "compile_config"
_TRAINING_ENDINGS = ("_initializer", "_regularizer", "_constraint")


def inference_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a description without what only training uses.

    Left out, at any depth: compile configurations; and of Keras's own layers the initializers, regularizers and
    constraints that are not Keras's own, as weights are loaded over whatever they would make.

    Args:
        config: the parsed JSON of a `.keras` or `.h5` file.
    """
    copied = _without_training(config)
    assert isinstance(copied, dict)
    return copied


def _without_training(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_training(child) for child in value]
    if not isinstance(value, Mapping):
        return value
    kept = {key: child for key, child in value.items() if not (key == _COMPILE and "class_name" in value)}
    inner = kept.get("config")
    if isinstance(inner, Mapping) and "class_name" in kept and _in_keras(kept):
        kept["config"] = {key: child for key, child in inner.items() if not _is_training_part(key, child)}
    return {key: _without_training(child) for key, child in kept.items()}


def _in_keras(entry: Mapping[str, Any]) -> bool:
    module = entry.get("module")
    return module is None or (isinstance(module, str) and module.split(".")[0] in ("keras", "tf_keras"))


def _is_training_part(key: str, value: Any) -> bool:
    """Whether an argument is an initializer, regularizer or constraint that Keras itself does not have."""
    if not key.endswith(_TRAINING_ENDINGS) or not isinstance(value, Mapping):
        return False
    kind, module = value.get("class_name"), value.get("module")
    if kind == "function":
        kind, module = value.get("config"), None
    if not isinstance(kind, str) or (module is not None and not _in_keras(value)):
        return True
    keras = import_keras()

    return not any(hasattr(place, kind) for place in (keras.initializers, keras.regularizers, keras.constraints))
