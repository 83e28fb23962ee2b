"""Small vision transformers: patches, a class token, attention."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from field.case import Case, Model, ModelCase
from field.makers import keras, saved

SHAPE = (14, 14, 3)
PATCH, WIDTH = 2, 8
PATCHES = (SHAPE[0] // PATCH) ** 2


def _vit(folder: Path) -> Model:
    """One block over 49 patches and a class token."""
    k = keras()

    @k.saving.register_keras_serializable("field")
    class ClassToken(k.layers.Layer):  # type: ignore[misc]
        def build(self, shape: tuple[int | None, ...]) -> None:
            self.token = self.add_weight(shape=(1, 1, WIDTH), name="token", initializer="random_normal")

        def call(self, patches: Any) -> Any:
            tokens = k.ops.broadcast_to(self.token, (k.ops.shape(patches)[0], 1, WIDTH))
            return k.ops.concatenate([tokens, patches], axis=1)

    layers = k.layers
    image = k.Input(SHAPE)
    x = layers.Conv2D(WIDTH, PATCH, strides=PATCH)(layers.Rescaling(1 / 255)(image))
    x = ClassToken()(layers.Reshape((PATCHES, WIDTH))(x))
    y = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(1, WIDTH)(y, y)])
    y = layers.Dense(2 * WIDTH, activation="gelu")(layers.LayerNormalization()(x))
    x = layers.Add()([x, layers.Dense(WIDTH)(y)])
    return saved(k.Model(image, layers.Dense(5, activation="softmax")(x[:, 0])), folder)


CASES: tuple[Case, ...] = (
    ModelCase("vision transformer", _vit, formats=("onnx", "openvino", "litert")),
    ModelCase(
        "vision transformer at int8 for OpenVINO",
        _vit,
        formats=("openvino",),
        precision="int8",
        error="OpenVINO cannot load.*Fix the batch size.*--static-batch 1",
    ),
    ModelCase(
        "vision transformer at int8 for OpenVINO, batch fixed",
        _vit,
        formats=("openvino",),
        precision="int8",
        static_batch=1,
        atol=0.1,
    ),
)
