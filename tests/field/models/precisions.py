"""Models of other precisions than float32, which are rebuilt in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from field.case import Case, Model, ModelCase
from field.makers import CLASSES, SHAPE, keras, saved

ALL = ("savedmodel", "onnx", "openvino", "litert")


def _functional(k: Any, *, classes: int = CLASSES, last: str | None = "softmax") -> Any:
    layers = k.layers
    image = k.Input(SHAPE)
    x = layers.Conv2D(6, 3, use_bias=False)(layers.Rescaling(1 / 255)(image))
    x = k.ops.relu(layers.BatchNormalization()(x)) / 2.0
    inner = k.Sequential([layers.Conv2D(4, 3, activation="relu"), layers.GlobalAveragePooling2D()])
    return k.Model(image, layers.Dense(classes, activation=last, kernel_initializer="random_normal")(inner(x)))


def _float32_head(k: Any) -> Any:
    """As the guide to mixed precision has it."""
    image = k.Input(SHAPE)
    x = k.layers.Flatten()(k.layers.Rescaling(1 / 255)(image))
    x = k.layers.Dense(CLASSES)(k.layers.Dense(16, activation="relu")(x))
    return k.Model(image, k.layers.Activation("softmax", dtype="float32")(x))


def _linear_head(k: Any) -> Any:
    """A probability of yes, brought to float32 by an activation that does nothing."""
    model = _functional(k, classes=1, last="sigmoid")
    return k.Model(model.input, k.layers.Activation("linear", dtype="float32")(model.output))


def _many_classes(k: Any) -> Any:
    """In half precision, a softmax over so many classes adds up to 1 within some thousandths only."""
    image = k.Input(SHAPE)
    x = k.layers.Flatten()(k.layers.Rescaling(1 / 255)(image))
    return k.Model(image, k.layers.Dense(300, activation="softmax")(x))


def _subclassed(k: Any) -> Any:
    @k.saving.register_keras_serializable("field")
    class HalfNet(k.Model):  # type: ignore[misc]
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.convolution = k.layers.Conv2D(4, 3)
            self.head = k.layers.Dense(CLASSES, activation="softmax")

        def call(self, inputs: Any) -> Any:
            return self.head(k.ops.mean(self.convolution(inputs / 255.0), axis=(1, 2)))

    model = HalfNet()
    model(np.zeros((1, *SHAPE), "float32"))
    return model


def _half_input(k: Any) -> Any:
    image = k.Input(SHAPE, dtype="float16")
    x = k.layers.Flatten()(k.layers.Rescaling(1 / 255)(image))
    return k.Model(image, k.layers.Dense(CLASSES, activation="softmax")(x))


def _under(policy: str, build: Callable[[Any], Any], **given: Any) -> Callable[[Path], Model]:
    """A maker of `build`'s model under a dtype policy."""

    def make(folder: Path) -> Model:
        k = keras()
        k.config.set_dtype_policy(policy)
        try:
            model = build(k)
            images = np.random.default_rng(3).integers(0, 256, (12, *SHAPE), dtype=np.uint8)
            made = saved(model, folder, images=images, **given)
        finally:
            k.config.set_dtype_policy("float32")
        assert made.expected is not None
        expected = made.expected
        if expected.shape[1] == 1:
            expected = np.hstack([1 - expected, expected])
        return Model(made.path, made.images, expected)

    return make


def _case(name: str, policy: str, build: Callable[[Any], Any] = _functional, **given: Any) -> ModelCase:
    file = given.pop("file", "flowers.keras")
    # Keras' own predictions are of the other precision; two or three of their bits are lost.
    atol = {"float64": 1e-5}.get(policy, 5e-3 if "bfloat" not in policy else 3e-2)
    return ModelCase(
        name,
        _under(policy, build, file=file),
        atol=atol,
        notes=(rf"computes in .*{policy.removeprefix('mixed_')}.*rebuilt in float32",),
        no_notes=("softmax was added", "sigmoid was added"),
        **given,
    )


CASES: tuple[Case, ...] = (
    _case("mixed_float16", "mixed_float16", formats=ALL),
    _case("mixed_float16 in int8", "mixed_float16", formats=("onnx", "openvino"), precision="int8"),
    _case("mixed_float16 in fp16", "mixed_float16", formats=("onnx", "litert"), precision="fp16"),
    _case("mixed_bfloat16", "mixed_bfloat16", formats=ALL),
    _case("float16", "float16", formats=ALL),
    _case("bfloat16", "bfloat16"),
    _case("float64", "float64", formats=ALL),
    _case("mixed_float16, .h5", "mixed_float16", _float32_head, file="flowers.h5"),
    _case("float16, .h5", "float16", _many_classes, file="flowers.h5"),
    _case("mixed_float16, softmax in float32", "mixed_float16", _float32_head),
    _case("mixed_float16, one sigmoid and a linear activation", "mixed_float16", _linear_head),
    _case("float16, 300 classes", "float16", _many_classes),
    _case("mixed_float16, subclassed", "mixed_float16", _subclassed),
    _case("float16, subclassed", "float16", _subclassed),
    _case("float16, input of float16", "float16", _half_input),
    _case("mixed_float16, SavedModel", "mixed_float16", file="flowers", formats=ALL),
    _case("mixed_bfloat16, SavedModel", "mixed_bfloat16", file="flowers"),
    _case("float16, SavedModel of 300 classes", "float16", _many_classes, file="flowers", formats=ALL),
    _case("float64, SavedModel", "float64", file="flowers"),
)
