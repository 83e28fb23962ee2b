"""Files laid out as published ImageNet weights are: they load, and the features are those of the library's own model.

The values are random: names, shapes and order decide whether a file loads to the right places. Real files are tried
where there are any.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_fm.models import build_model
from edge_fm.models.architectures.backbones import BACKBONES
from edge_fm.models.architectures.transfer import FEATURES
from edge_fm.training.optimization.initial_weights import load_weights

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.needs("tensorflow"),
]

SIDE = 32
IMAGES = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
PREPROCESSING = {
    "vgg16": "vgg16",
    "vgg19": "vgg19",
    "resnet50": "resnet",
    "resnet152-v2": "resnet_v2",
    "mobilenet-v2": "mobilenet_v2",
}
"""Where keras.applications keeps what each backbone wants done to pixels."""


def shared_weights(name: str) -> Path:
    """A file of real weights: in $EDGEFM_TEST_WEIGHTS, else in shared/weights beside the project; skips without."""
    given = os.environ.get("EDGEFM_TEST_WEIGHTS")
    folder = Path(given) if given else Path(__file__).parents[4] / "shared" / "weights"
    if not (folder / name).is_file():
        pytest.skip(f"there is no file of real weights {folder / name}")
    return folder / name


def with_random_values(model: Any) -> Any:
    """Weights that keep activations in a usual range, and tell every layer from every other."""
    rng = np.random.default_rng(1)
    model.set_weights(
        [
            rng.uniform(0.5, 1.5, w.shape) if w.ndim == 1 else rng.normal(0, np.prod(w.shape[:-1]) ** -0.5, w.shape)
            for w in model.get_weights()
        ]
    )
    return model


def computed(network: Any, images: np.ndarray) -> np.ndarray:
    """What a model returns; eagerly, as tracing a deep network for three images takes far longer."""
    return np.asarray(network(images, training=False))


def library_features(network: Any, preprocessing: str, images: np.ndarray) -> np.ndarray:
    """What keras.applications itself makes of images, its own preprocessing included; `[N,F]`."""
    import keras

    prepare = getattr(keras.applications, preprocessing).preprocess_input
    return computed(network, prepare(images.astype("float32")))


def our_features(name: str, file: Path, images: np.ndarray, **options: Any) -> np.ndarray:
    import keras

    model = build_model(name, input_shape=images.shape[1:], classes=10, **options)
    note = load_weights(model, str(file), name=name, options=options)
    assert note is not None and "the head's are fresh" in note
    return computed(keras.Model(model.inputs[0], model.get_layer(FEATURES).output), images)


def assert_same(ours: np.ndarray, theirs: np.ndarray) -> None:
    theirs = theirs.reshape(len(theirs), -1)
    assert theirs.std() > 0.01 and not np.allclose(theirs[0], theirs[1])  # features that tell images apart
    np.testing.assert_allclose(ours / theirs.std(), theirs / theirs.std(), rtol=1e-5, atol=1e-5)


def write_published(network: Any, file: Path) -> None:
    """The HDF5 layout of the files that keras.applications downloads."""
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    with h5py.File(file, "w") as opened:
        save_weights_to_hdf5_group(opened, network)


@pytest.mark.parametrize("name", ["vgg16", "vgg19", "resnet50", "resnet152-v2"])
def test_files_of_keras_applications(name: str, tmp_path: Path) -> None:
    import keras

    application = getattr(keras.applications, str(BACKBONES[name].application))
    network = with_random_values(application(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3)))
    file = tmp_path / f"{name}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    write_published(network, file)
    theirs = library_features(network, PREPROCESSING[name], IMAGES)
    assert_same(our_features(name, file, IMAGES), theirs)


def keras_hubs_resnet18() -> Any:
    """The network of KerasHub's preset "resnet_18_imagenet": its layers' names and order, and Keras 3's own format."""
    import keras

    layers = keras.layers

    def convolution(x: Any, filters: int, size: int, stride: int, name: str) -> Any:
        if stride > 1 and size > 1:
            x = layers.ZeroPadding2D(size // 2, name=f"{name}_conv_pad")(x)
        padding = "valid" if stride > 1 else "same"
        x = layers.Conv2D(filters, size, strides=stride, padding=padding, use_bias=False, name=f"{name}_conv")(x)
        return layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=f"{name}_bn")(x)

    image = keras.Input((SIDE, SIDE, 3))
    x = layers.ReLU(name="conv_relu")(convolution(image, 64, 7, 2, "conv1"))
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(layers.ZeroPadding2D(1, name="pool1_pad")(x))
    for stack, filters in enumerate((64, 128, 256, 512)):
        for block in range(2):
            name, stride = f"stack{stack}_block{block}", 2 if stack and not block else 1
            shortcut = convolution(x, filters, 1, stride, f"{name}_0") if stride > 1 else x
            x = layers.ReLU(name=f"{name}_1_relu")(convolution(x, filters, 3, stride, f"{name}_1"))
            x = convolution(x, filters, 3, 1, f"{name}_2")
            x = layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([shortcut, x]))
    return keras.Model(image, x)


def test_a_file_of_keras_hubs_resnet18(tmp_path: Path) -> None:
    network = with_random_values(keras_hubs_resnet18())
    network.save_weights(tmp_path / "model.weights.h5")
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    theirs = computed(network, ((IMAGES / 255 - mean) / deviation).astype("float32")).mean(axis=(1, 2))
    assert_same(our_features("resnet18", tmp_path / "model.weights.h5", IMAGES), theirs)


def test_a_real_file_without_classifier() -> None:
    import keras

    file = shared_weights("mobilenet_v2_0.35_imagenet_no_top.weights.h5")
    images = np.repeat(np.repeat(IMAGES, 3, axis=1), 3, axis=2)
    network = keras.applications.MobileNetV2(alpha=0.35, include_top=False, weights=None, input_shape=(96, 96, 3))
    network.load_weights(file)
    theirs = library_features(network, "mobilenet_v2", images).mean(axis=(1, 2))
    assert_same(our_features("mobilenet-v2", file, images, alpha=0.35, size=96), theirs)


def test_a_real_file_with_its_classifier() -> None:
    import keras

    file = shared_weights("mobilenet_v1_0.25_imagenet.weights.h5")
    images = np.repeat(np.repeat(IMAGES, 7, axis=1), 7, axis=2)
    whole = keras.applications.MobileNet(alpha=0.25, weights=None, input_shape=(224, 224, 3))
    whole.load_weights(file)
    network = keras.Model(whole.inputs[0], whole.get_layer("conv_pw_13_relu").output)
    theirs = library_features(network, "mobilenet", images).mean(axis=(1, 2))
    assert_same(our_features("mobilenet", file, images, alpha=0.25, size=224), theirs)
