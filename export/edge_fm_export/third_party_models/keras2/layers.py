"""One Keras 2 layer's description as Keras 3 gives it: names, arguments that are gone, arguments that mean nothing."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from edge_fm_export.compat.keras_internals import unnamed_class
from edge_fm_export.compat.tensorflow_setup import import_keras
from edge_fm_export.third_party_models.keras2 import operations

_ANY = object()
_RENAMED_CLASSES = {
    "Model": "Functional",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "Convolution2D": "Conv2D",
    "Convolution2DTranspose": "Conv2DTranspose",
    "SeparableConvolution2D": "SeparableConv2D",
    "MaxPool2D": "MaxPooling2D",
    "AvgPool2D": "AveragePooling2D",
    "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "GlobalMaxPool2D": "GlobalMaxPooling2D",
}
_RENAMED_ARGUMENTS = {("LeakyReLU", "alpha"): "negative_slope"}
_WITHOUT_MEANING: Mapping[str, tuple[Any, ...]] = {
    # The value at which an argument that Keras 3 lacks changes nothing in a prediction.
    "groups": (1,),
    "time_major": (False,),
    "renorm": (False,),
    "virtual_batch_size": (None,),
    "adjustment": (None,),
    "ragged": (False, None),
    "trainable": (_ANY,),  # nothing is trained
    "noise_shape": (_ANY,),  # of dropout, which rests in a prediction
    "softmax_robust_masking": (False,),
    "experimental_run_tf_function": (_ANY,),
    "implementation": (_ANY,),  # how, not what
    "fused": (_ANY,),
    "rng_type": (_ANY,),  # random layers rest in a prediction
    "force_generator": (_ANY,),
    "renorm_clipping": (_ANY,),
    "renorm_momentum": (_ANY,),
    "input_length": (_ANY,),  # of an Embedding: repeated by its input
    "query_shape": (_ANY,),  # repeated by the layer's inputs
    "key_shape": (_ANY,),
    "value_shape": (_ANY,),
    "batch_input_shape": (_ANY,),  # given to an InputLayer
    "input_dtype": (_ANY,),
    "inputs": (_ANY,),
}
_TRAINING_ENDINGS = ("_initializer", "_regularizer", "_constraint")

GONE = (
    "LocallyConnected1D", "LocallyConnected2D", "CuDNNLSTM", "CuDNNGRU", "TensorFlowOpLayer", "RandomFourierFeatures",
    "DenseFeatures", "SequenceFeatures", "MaxoutDense", "Highway", "Merge", "AtrousConvolution2D",
)  # fmt: skip
"""Layers of Keras 1 and 2 that Keras 3 has no counterpart of."""


def layer_class(name: str) -> Any:
    """Keras 3's own layer or model class for a Keras 2 class name; None where it has none."""
    keras = import_keras()

    name = _RENAMED_CLASSES.get(name, name)
    for place in (keras.layers, keras.models):
        found = getattr(place, name, None)
        if inspect.isclass(found) and issubclass(found, keras.layers.Layer):
            return found
    return unnamed_class(name)


def layer_arguments(kind: str, cls: Any, config: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The arguments that Keras 3's class takes, and those ("groups=2") that it lacks and that mean something."""
    accepted = _accepted(cls)
    kept: dict[str, Any] = {}
    lost: list[str] = []
    for key, value in config.items():
        name = _RENAMED_ARGUMENTS.get((kind, key), key)
        if name in accepted:
            kept[name] = _value(name, value)
        elif not key.endswith(_TRAINING_ENDINGS) and not _without_meaning(key, value):
            lost.append(f"{key}={value!r}")
    axis = kept.get("axis")
    if cls.__name__ == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
        kept["axis"] = axis[0]
    return kept, lost


def _accepted(cls: Any) -> set[str]:
    """Names of the arguments that a class takes, those that it hands up to its parents too."""
    names: set[str] = set()
    for owner in cls.__mro__:
        if "__init__" not in vars(owner):
            continue
        parameters = inspect.signature(owner.__init__).parameters
        names.update(parameters)
        if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
            break
    return names - {"self", "args", "kwargs"}


def _without_meaning(key: str, value: Any) -> bool:
    neutral = _WITHOUT_MEANING.get(key, ())
    return any(known is _ANY or (type(known) is type(value) and known == value) for known in neutral)


def _value(name: str, value: Any) -> Any:
    """An argument's value in Keras 3: names without slashes, policies by name, the one activation that has changed."""
    if name == "name" and isinstance(value, str):
        return value.replace("/", "_")
    if name == "dtype" and isinstance(value, dict) and value.get("class_name") in ("Policy", "PolicyV1", "DTypePolicy"):
        inner = value.get("config")
        return inner.get("name") if isinstance(inner, dict) else value
    if name.endswith("activation"):
        function = value.get("config") if isinstance(value, dict) and value.get("class_name") == "function" else value
        if function == "hard_sigmoid":
            return {
                "module": operations.__name__,
                "class_name": "function",
                "config": operations.HARD_SIGMOID,
                "registered_name": operations.HARD_SIGMOID,
            }
    return value
