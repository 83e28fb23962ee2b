"""Preprocessing options: parsed, refused when they make no sense, and equal to keras.applications' own."""

from __future__ import annotations

import numpy as np
import pytest

from edge_fm_export.third_party_models.pixel_scaling import (
    FAMILIES,
    MODES,
    PRESETS,
    family_of,
    find_preset,
    parse_preprocessing,
)
from edge_fm_runtime.errors import ModelError


def test_nothing_asked_is_nothing_done() -> None:
    assert parse_preprocessing() is None


@pytest.mark.parametrize(
    ("scale", "mean", "std", "pixel", "expected"),
    [
        ("1/255", None, None, 255, 1.0),
        (1 / 127.5, "1", None, 0, -1.0),
        ("0.5", 1, [2.0], 10, 2.0),
        (None, "100", "50", 150, 1.0),
    ],
)
def test_numbers(scale: object, mean: object, std: object, pixel: int, expected: float) -> None:
    asked = parse_preprocessing(None, scale, mean, std)  # type: ignore[arg-type]
    assert asked is not None
    assert (pixel * asked.scale - asked.mean[0]) / asked.std[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    "options",
    [
        {"input_scale": "0"},
        {"input_scale": "-1"},
        {"input_scale": "1,2"},
        {"input_scale": "a lot"},
        {"input_scale": "1/0"},
        {"input_scale": "nan"},
        {"mean": ""},
        {"mean": "inf"},
        {"std": "0"},
        {"std": "0.2,0"},
        {"mean": "1,2", "std": "1,2,3"},
        {"preset": "torch", "mean": "0.5"},
        {"preset": "resnext"},
    ],
)
def test_nonsense_is_refused_with_a_hint(options: dict[str, str]) -> None:
    with pytest.raises(ModelError) as caught:
        parse_preprocessing(**options)  # type: ignore[arg-type]
    assert caught.value.hint


def test_an_unknown_preset_lists_those_that_there_are() -> None:
    with pytest.raises(ModelError) as caught:
        find_preset("resnext")
    assert all(name in caught.value.message for name in PRESETS)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("MobileNetV2", "mobilenet_v2"),
        ("mobilenetv2_1.00_96", "mobilenet_v2"),
        ("MobileNetV3Small", "mobilenet_v3"),
        ("mobilenet_1.00_224", "mobilenet"),
        ("EfficientNetV2B0", "efficientnet_v2"),
        ("efficientnetv2-b0", "efficientnet_v2"),
        ("EfficientNetB7", "efficientnet"),
        ("ResNet50", "resnet"),
        ("resnet101v2", "resnet_v2"),
        ("DenseNet121", "densenet"),
        ("convnext_tiny", "convnext"),
        ("NASNetMobile", "nasnet"),
        ("VGG16", "vgg16"),
        ("InceptionResNetV2", "inception_resnet_v2"),
        ("mobilenetwork", None),
        ("residual", None),
    ],
)
def test_models_name_their_family(name: str, family: str | None) -> None:
    assert family_of(name) == family
    if family is not None:
        assert find_preset(name).name == family


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_families_do_what_keras_applications_does(family: str) -> None:
    from edge_fm_export.compat.tensorflow_setup import require_tensorflow

    keras = require_tensorflow("the tests")[1]
    pixels = np.random.default_rng(1).integers(0, 256, (2, 5, 4, 3)).astype("float32")
    preset = PRESETS[family]
    ordered = pixels[..., ::-1] if preset.bgr else pixels
    ours = (ordered * preset.scale - np.array(preset.mean)) / np.array(preset.std)
    theirs = getattr(keras.applications, family).preprocess_input(pixels.copy())
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_modes_are_presets_too() -> None:
    assert set(MODES) <= set(PRESETS)
    assert find_preset("raw").identity and not find_preset("unit").identity
