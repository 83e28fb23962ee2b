"""Models, layers and inputs called as what is put around them, or as TensorFlow allows no graph to be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from edge_fm_export.third_party_models.pixel_scaling import find_preset
from field.case import Case, Model, ModelCase
from field.makers import CLASSES, SHAPE, keras, noise, saved

ALL = ("savedmodel", "onnx", "openvino", "litert")


def _called(name: str, file: str = "flowers.keras") -> Callable[[Path], Model]:
    def make(folder: Path) -> Model:
        k = keras()
        image = k.Input(SHAPE, name="image" if name != "image" else "probabilities")
        dense = k.layers.Dense(CLASSES, activation="softmax")
        model = k.Model(image, dense(k.layers.Flatten()(image)), name="plain")
        images = noise(SHAPE)
        fed = images.astype("float32") / np.float32(127.5) - 1
        if not name.isascii() or " " in name:
            # As on another backend: TensorFlow cannot call it.
            made = saved(model, folder, images=images, fed=fed)
            model.name, dense.name = name, name
            model.save(made.path)
            return made
        model.name = name
        dense.name = name
        return saved(model, folder, file=file, images=images, fed=fed)

    return make


CASES: tuple[Case, ...] = (
    *(
        ModelCase(
            f"a model and a layer called {name!r}",
            _called(name),
            formats=ALL if name in ("image", "my model") else ("onnx",),
            source={"preprocessing": find_preset("tf")},
        )
        for name in ("image", "probabilities", "preprocessing", "cast", "classifier", "my model", "Модель", "_hidden")
    ),
    ModelCase(
        "a SavedModel folder called 'image'", _called("net", file="image"), source={"preprocessing": find_preset("tf")}
    ),
)
