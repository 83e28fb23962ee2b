"""Models that scale their pixels in every place there is, or leave it to whoever calls them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tiny_models import tiny_images

from edge_fm_export.third_party_models.pixel_scaling import find_preset, parse_preprocessing
from field.case import Case, CommandCase, Model, ModelCase
from field.makers import keras, noise, saved

SHAPE = (16, 12, 3)
INSIDE = (r"scales its input itself",)
NO_ADVICE = (r"with --preset", r"seems to have been trained", r"scaled twice", r"is unknown whether")
Scaling = Callable[[Any, Any], Any]


def quadrants(k: Any, image: Any, x: Any, *, white: float = 1.0, black: float = 0.0, first: Any = None) -> Any:
    """A classifier that says which quadrant is brightest, with the weights that training on `black`..`white` gives."""
    convolution = k.layers.Conv2D(1, 1)
    pooled = k.layers.AveragePooling2D((SHAPE[0] // 2, SHAPE[1] // 2))(convolution(x))
    dense = k.layers.Dense(4, activation="softmax")
    model = k.Model(image, dense(k.layers.Flatten()(pooled)))
    channels = convolution.get_weights()[0].shape[2]
    convolution.set_weights(
        [np.full((1, 1, channels, 1), 1 / channels / (white - black)), np.array([-black / (white - black)])]
    )
    dense.set_weights([25 * np.eye(4), np.zeros(4)])
    return model


def scaled_by(scaling: Scaling, low: float, high: float, **given: Any) -> Callable[[Path], Model]:
    """A maker of a model that has `scaling` between its input and its first layer with weights."""

    def make(folder: Path) -> Model:
        k = keras()
        image = k.Input(SHAPE)
        return saved(quadrants(k, image, scaling(k, image), black=low, white=high), folder, **given)

    return make


def fed(values: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]], low: float, high: float) -> Any:
    """A maker of a model that was trained on `values` of the pixels, outside of the model."""

    def make(folder: Path) -> Model:
        k = keras()
        image = k.Input(SHAPE)
        images = noise(SHAPE)
        model = quadrants(k, image, image, black=low, white=high)
        return saved(model, folder, images=images, fed=values(images.astype("float32")))

    return make


def _augmentation(k: Any, x: Any) -> Any:
    layers = k.layers
    x = layers.RandomZoom(0.1)(layers.RandomRotation(0.1)(layers.RandomFlip("horizontal")(x)))
    return layers.Rescaling(1 / 255)(layers.RandomContrast(0.2)(x))


def _augmentation_model(k: Any, x: Any) -> Any:
    block = k.Sequential([k.layers.RandomFlip(), k.layers.RandomTranslation(0.1, 0.1)], name="data_augmentation")
    return k.layers.Rescaling(1 / 127.5, offset=-1)(block(x))


def _concatenate(k: Any, x: Any) -> Any:
    return k.layers.Rescaling(1 / 255)(k.layers.Concatenate()([x, x]))


def _normalization(k: Any, x: Any) -> Any:
    return k.layers.Normalization(mean=[120.0, 110.0, 100.0], variance=[60.0**2] * 3)(x)


def _batch_normalization(k: Any, x: Any) -> Any:
    layer = k.layers.BatchNormalization(epsilon=0.0)
    x = layer(x)
    layer.set_weights([np.ones(3), np.zeros(3), np.full(3, 127.5), np.full(3, 127.5**2)])
    return x


def _subclassed(k: Any, x: Any) -> Any:
    @k.saving.register_keras_serializable("field")
    class Halve(k.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return inputs / 255.0

    return Halve()(x)


def _standardized(k: Any, x: Any) -> Any:
    """As tf.image.per_image_standardization: the scale of the pixels does not matter."""
    mean = k.ops.mean(x, axis=(1, 2, 3), keepdims=True)
    return (x - mean) / (k.ops.std(x, axis=(1, 2, 3), keepdims=True) + 1e-3)


def _contrast(k: Any, x: Any) -> Any:
    """The contrast of each image stretched: one of a single colour can become 0/0 in TensorFlow."""
    low, high = (find(x, axis=(1, 2, 3), keepdims=True) for find in (k.ops.min, k.ops.max))
    return (x - low) / (high - low + 1e-6)


_SCALINGS: dict[str, tuple[Scaling, float, float]] = {
    "Rescaling behind augmentation layers": (_augmentation, 0, 1),
    "Rescaling behind an augmentation model": (_augmentation_model, -1, 1),
    "Rescaling behind Concatenate": (_concatenate, 0, 1),
    "x / 255": (lambda k, x: x / 255.0, 0, 1),
    "keras.ops": (lambda k, x: k.ops.subtract(k.ops.divide(x, 127.5), 1.0), -1, 1),
    "preprocess_input of mode tf": (lambda k, x: k.applications.mobilenet_v2.preprocess_input(x), -1, 1),
    "preprocess_input of mode torch": (lambda k, x: k.applications.densenet.preprocess_input(x), -2.1, 2.6),
    "preprocess_input of mode caffe": (lambda k, x: k.applications.resnet.preprocess_input(x), -120, 150),
    "Normalization": (_normalization, -2, 2.5),
    "BatchNormalization in front": (_batch_normalization, -1, 1),
    "a layer of one's own": (_subclassed, 0, 1),
    "Rescaling behind Resizing and CenterCrop": (
        lambda k, x: k.layers.Rescaling(1 / 255)(k.layers.CenterCrop(16, 12)(k.layers.Resizing(20, 16)(x))),
        0,
        1,
    ),
    "images standardized one by one": (_standardized, -2, 2),
    "contrast stretched": (_contrast, 0, 1),
}


def _double(scaling: Scaling, low: float, high: float, preset: str, name: str) -> ModelCase:
    """The scaling is asked for once more: obeyed, with a warning."""

    def make(folder: Path) -> Model:
        asked = find_preset(preset)
        values = (noise(SHAPE) * asked.scale - np.array(asked.mean)) / np.array(asked.std)
        return scaled_by(scaling, low, high, fed=values.astype("float32"))(folder)

    return ModelCase(name, make, source={"preprocessing": find_preset(preset)}, notes=("scaled twice", "Leave out"))


def _labelled(
    folder: Path, scaling: Scaling, *options: str, names: Sequence[int] = (0, 1, 2, 3), n: int = 200
) -> Sequence[str | Path]:
    """Export a model that knows quadrants only at its own scale: darker ones are cut off, and too bright ones alike."""
    k = keras()
    image = k.Input(SHAPE)
    model = quadrants(k, image, scaling(k, image))
    convolution, dense = model.layers[-4], model.layers[-1]
    x = k.layers.ReLU(max_value=1.0, threshold=0.3)(convolution.output)
    x = k.layers.AveragePooling2D((SHAPE[0] // 2, SHAPE[1] // 2))(x)
    k.Model(image, dense(k.layers.Flatten()(x))).save(folder / "quadrants.keras")
    images, labels = tiny_images(SHAPE, n, seed=1)
    np.savez(folder / "quadrants.npz", images=images, labels=np.array(names)[labels])
    data = ["--data", folder / "quadrants.npz", "--out", folder / "out", "--quiet"]
    return ["export", folder / "quadrants.keras", *data, *options]


_UNIT = parse_preprocessing(input_scale="1/255")
_WANTS = (r"seems to have been trained on scaled pixels.*--input-scale 1/255",)

CASES: tuple[Case, ...] = (
    *(ModelCase(name, scaled_by(*how), notes=INSIDE, no_notes=NO_ADVICE) for name, how in _SCALINGS.items()),
    *(
        ModelCase(f"{name}, SavedModel", scaled_by(*_SCALINGS[name], file="flowers"), notes=INSIDE, no_notes=NO_ADVICE)
        for name in ("x / 255", "preprocess_input of mode caffe")
    ),
    ModelCase(
        "augmentation layers, SavedModel",
        scaled_by(*_SCALINGS["Rescaling behind augmentation layers"], file="flowers"),
        error=r"at random \(.*random_.*\).*model\.save",
    ),
    _double(*_SCALINGS["Rescaling behind augmentation layers"], "unit", "scaled once more by 1/255"),
    _double(*_SCALINGS["preprocess_input of mode tf"], "tf", "scaled once more to -1..1"),
    _double(*_SCALINGS["x / 255"], "caffe", "means subtracted before x / 255"),
    ModelCase("trained on 0..1 outside", fed(lambda x: x, 0, 1), notes=_WANTS),
    ModelCase("trained on -1..1 outside", fed(lambda x: x, -1, 1), notes=_WANTS),
    ModelCase(
        "trained on 0..1 outside, as asked",
        fed(lambda x: x / 255, 0, 1),
        source={"preprocessing": _UNIT},
        no_notes=NO_ADVICE,
    ),
    ModelCase(
        "trained on 0..1 outside, multiplied in place of divided",
        fed(lambda x: x * np.float32(255), 0, 1),
        source={"preprocessing": parse_preprocessing(input_scale="255")},
        notes=(r"into 0..65,025,.*--input-scale multiplies.*--input-scale 1/255\n",),
    ),
    ModelCase("trained on 0..255", fed(lambda x: x, 0, 255), notes=("predictions fit them",), no_notes=NO_ADVICE),
    ModelCase(
        "trained on 0..255, scaled all the same",
        fed(lambda x: x / 255, 0, 255),
        source={"preprocessing": _UNIT},
        notes=("predictions fit pixels 0..255.*Leave out",),
    ),
    CommandCase(
        "labelled images show that scaling is missing",
        lambda folder: _labelled(folder, lambda k, x: x),
        stderr=("WARNING: On 40 images.* on 100% with --input-scale 1/255",),
    ),
    CommandCase(
        "labelled images show that scaling is right",
        lambda folder: _labelled(folder, lambda k, x: x, "--input-scale", "1/255"),
        no_stderr=("WARNING",),
    ),
    CommandCase(
        "labels in another order are not blamed on the scaling",
        lambda folder: _labelled(folder, lambda k, x: x / 255.0, names=(1, 2, 3, 0)),
        stderr=("labels are probably in another order",),
        no_stderr=("WARNING: On",),
    ),
    CommandCase(
        "two exchanged labels are found where the others are right",
        lambda folder: _labelled(folder, lambda k, x: x / 255.0, names=(0, 3, 2, 1), n=800),
        stdout=("DOUBTFUL: see the warning",),
        stderr=(
            r"WARNING: The original model itself is right on 50.0% of the 160 images of quadrants.npz test\. The "
            r"labels are probably in another order.*predicts 1 for 3, 3 for 1; under those names 100.0% would "
            r"be right.*--labels FILE \(0, 3, 2, 1\)",
        ),
        no_stderr=("WARNING: On",),
    ),
    CommandCase(
        "labelled images show that pixels are scaled twice",
        lambda folder: _labelled(folder, lambda k, x: x / 255.0, "--input-scale", "1/255"),
        stderr=("WARNING: The pixels are scaled twice", "WARNING: On 40 images.*and on 100% without --preset"),
    ),
    CommandCase(
        "a factor that should divide is warned of on a console",
        lambda folder: _labelled(folder, lambda k, x: x, "--input-scale", "255"),
        stderr=("WARNING: The preprocessing .* into 0..65,025,", "WARNING: On 40 images.* with --input-scale 1/255"),
    ),
)
