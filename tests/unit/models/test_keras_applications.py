"""Every network of keras.applications by its name: spelling, preprocessing, file of weights, smallest size."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest

from edge_fm.models import MODELS, application_names, build_model, describe_applications, find_model, find_name
from edge_fm.models.architectures.backbones import BACKBONES, imagenet_file
from edge_fm.models.architectures.keras_applications import APPLICATIONS, divide_as_published
from edge_fm.models.published_weights import copy_backbone
from edge_fm.training.recipe import ModelPart
from edge_fm_export.third_party_models.pixel_scaling import FAMILIES, MODES
from edge_fm_runtime.errors import ModelError

NAMED = {name: row.application for name, row in BACKBONES.items() if row.application is not None}
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3)).astype(np.float32)


@pytest.mark.needs("tensorflow")
def test_every_network_of_keras_applications_has_a_name() -> None:
    import keras

    functions = {name for name in dir(keras.applications) if name[0].isupper()}
    assert functions == set(NAMED.values())
    for function in functions:
        assert NAMED[find_name(function)] == function


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("resnet50v2", "resnet50-v2"),
        ("ResNet50V2", "resnet50-v2"),
        ("NASNetMobile", "nasnet-mobile"),
        ("EfficientNet_B0", "efficientnet-b0"),
        ("efficientnetv2-s", "efficientnet-v2-s"),
        ("MobileNetV2", "mobilenet-v2"),
    ],
)
def test_spelling_does_not_matter(given: str, name: str) -> None:
    assert find_name(given) == name
    assert ModelPart(given).name == name  # so both are one recipe


def test_a_near_miss_is_named_in_any_case() -> None:
    with pytest.raises(ModelError) as caught:
        find_model("DenseNet-122")
    assert caught.value.hint == "Did you mean 'densenet121'?"
    with pytest.raises(ModelError) as caught:
        find_model("EdgeNet-S")
    assert caught.value.hint == "Did you mean 'edgenet-s'?"


def test_no_two_names_are_spelled_alike() -> None:
    names = [*MODELS, *application_names()]
    assert len({"".join(c for c in name if c.isalnum()) for name in names}) == len(names)


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("name", sorted(NAMED))
def test_pixels_are_prepared_as_the_family_does(name: str) -> None:
    import keras

    module = import_module(getattr(keras.applications, NAMED[name]).__module__)
    if name.endswith("-v2") and name.startswith("resnet"):
        module = keras.applications.resnet_v2
    theirs = np.asarray(module.preprocess_input(PIXELS.copy()))
    mode = MODES[BACKBONES[name].preprocessing]
    pixels = PIXELS[..., ::-1] if mode.bgr else PIXELS
    ours = (pixels * mode.scale - np.array(mode.mean)) / np.array(mode.std)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("name", sorted(APPLICATIONS))
def test_weights_are_those_that_keras_names(name: str) -> None:
    """Read from the modules' own tables and source: building every network would take minutes."""
    import inspect

    import keras

    application = APPLICATIONS[name]
    function = inspect.unwrap(getattr(keras.applications, application.function))
    module = import_module(function.__module__)
    file = imagenet_file(name, side=224)
    if application.family == "resnet_v2":
        module = import_module("keras.src.applications.resnet")
    source = inspect.getsource(module)
    assert f'"{file.checksum}"' in source
    base = next((getattr(module, n) for n in ("BASE_WEIGHTS_PATH", "BASE_WEIGHT_URL") if hasattr(module, n)), None)
    if base is not None:
        assert file.url.startswith(base)
    else:
        assert file.url == module.WEIGHTS_PATH_NO_TOP
    if application.cached_as:
        assert f'"{file.name}"' in source
    hashes: dict[str, tuple[str, str]] = getattr(module, "WEIGHTS_HASHES", {})
    keys = [key for key, (_, checksum) in hashes.items() if checksum == file.checksum]
    for key in keys:
        assert key.strip("-") in file.name


def test_the_family_decides_the_preprocessing() -> None:
    for name, application in APPLICATIONS.items():
        assert MODES[BACKBONES[name].preprocessing] == FAMILIES[application.family]


@pytest.mark.parametrize(("name", "least"), [("inception-v3", 75), ("xception", 71), ("densenet121", 32)])
def test_too_small_an_image_names_the_smallest(name: str, least: int) -> None:
    with pytest.raises(ModelError, match=f"at least {least} pixels") as caught:
        build_model(name, input_shape=(28, 28, 1), classes=3, size=least - 1)
    assert f"size={least}" in str(caught.value.hint)


def test_descriptions_say_what_a_person_can_select() -> None:
    described = {entry["name"]: entry for entry in describe_applications()}
    assert set(described) == set(APPLICATIONS)
    assert described["inception-v3"]["smallest_size"] == 75
    assert described["nasnet-mobile"]["weights"] == ["none", "imagenet", "FILE"]


def small_network(image: Any = None) -> Any:
    """A network as keras.applications builds them, its layers named by Keras' counters."""
    import keras

    layers = keras.layers
    given = keras.Input((4, 4, 3)) if image is None else image
    x = layers.Normalization()(given)
    x = layers.Conv2D(4, 1)(x)
    x = layers.Add()([x, layers.Conv2D(4, 3, padding="same")(x)])
    return keras.Model(keras.utils.get_source_inputs(given)[0], x)


MEAN, DEVIATION = (np.array(v, np.float32) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))


@pytest.mark.needs("tensorflow")
def test_efficientnet_divides_as_keras_does_with_imagenet_weights() -> None:
    """Keras puts a second division into the network only where it fetches the weights itself."""
    network = small_network()
    layer = network.layers[1]
    layer.set_weights([MEAN, DEVIATION**2, *layer.get_weights()[2:]])
    divide_as_published("densenet121", network)  # another network stays as it is
    np.testing.assert_array_equal(layer.get_weights()[1], DEVIATION**2)
    divide_as_published("efficientnet-b3", network)
    pixels = np.random.default_rng(1).random((2, 4, 4, 3)).astype(np.float32)
    expected = (pixels - MEAN) / DEVIATION / np.sqrt(DEVIATION)
    np.testing.assert_allclose(np.asarray(layer(pixels)), expected, rtol=1e-4, atol=1e-4)
    once = layer.get_weights()[1]
    divide_as_published("efficientnet-b3", network)
    np.testing.assert_array_equal(layer.get_weights()[1], once)


@pytest.mark.needs("tensorflow")
def test_weights_go_to_their_places_where_layers_have_no_names_of_their_own() -> None:
    import keras

    source = small_network()
    source.layers[1].set_weights([MEAN, DEVIATION, np.array(1)])
    source.layers[1].finalize_state()
    image = keras.Input((4, 4, 3), name="image")
    x = small_network(keras.layers.Rescaling(1.0)(image)).output
    target = keras.Model(image, keras.layers.Conv2D(2, 1)(x))
    assert not {layer.name for layer in source.layers if layer.weights} & {layer.name for layer in target.layers}
    copy_backbone(source.layers, target)
    pixels = np.random.default_rng(1).random((2, 4, 4, 3)).astype(np.float32)
    ours = keras.Model(image, x)(pixels)
    np.testing.assert_allclose(np.asarray(ours), np.asarray(source(pixels)), rtol=1e-5, atol=1e-5)


@pytest.mark.needs("tensorflow")
def test_weights_of_other_shapes_are_not_copied_by_place() -> None:
    import keras

    image = keras.Input((4, 4, 3))
    other = keras.Model(image, keras.layers.Conv2D(5, 1, name="other")(image))
    before = other.get_weights()
    with pytest.raises(ModelError, match="another order"):
        copy_backbone(small_network().layers, other)
    np.testing.assert_array_equal(other.get_weights()[0], before[0])
