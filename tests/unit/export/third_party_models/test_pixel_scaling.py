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
from edge_fm_export.third_party_models.plausible_scaling import implausible_scaling
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


@pytest.mark.parametrize("family", sorted({*FAMILIES} - {"efficientnet_lite"}))  # Keras has no Lite
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


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_is_plausible(preset: str) -> None:
    assert implausible_scaling(PRESETS[preset]) is None


@pytest.mark.parametrize(
    "options",
    [
        {"input_scale": "1/255"},
        {"input_scale": "1/127.5", "mean": "1"},
        {"input_scale": "1/256", "mean": "0.5", "std": "0.25"},
        {"input_scale": "1/255", "mean": "0.1307", "std": "0.3081"},
        {"mean": "123.675,116.28,103.53", "std": "58.395,57.12,57.375"},
        {"mean": "127.5"},
        {"std": "255"},
        {"input_scale": "1"},
    ],
)
def test_usual_numbers_are_plausible(options: dict[str, str]) -> None:
    asked = parse_preprocessing(**options)  # type: ignore[arg-type]
    assert asked is not None and implausible_scaling(asked) is None


@pytest.mark.parametrize(
    ("options", "becomes", "meant"),
    [
        ({"input_scale": "255"}, "0..65,025", "--input-scale 1/255"),
        ({"input_scale": "127.5", "mean": "1"}, "-1..32,511.5", "--input-scale 1/127.5 --mean 1"),
        ({"input_scale": "1/65025"}, "0..0.00392157", "--input-scale 1/255"),
        ({"std": "1/255"}, "0..65,025", "(for 0..1): --std 255"),
        (
            {"mean": "0.485,0.456,0.406", "std": "0.229,0.224,0.225"},
            "-2.1179..1,136.36",
            "--input-scale 1/255 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225",
        ),
        (
            {"input_scale": "1/255", "mean": "123.675,116.28,103.53", "std": "58.395,57.12,57.375"},
            "-2.1179..-1.78702",
            "--mean 123.675,116.28,103.53 --std 58.395,57.12,57.375",
        ),
        ({"input_scale": "1/255", "mean": "127.5"}, "-127.5..-126.5", "--mean 127.5"),
    ],
)
def test_the_message_on_implausible_numbers_says_what_to_type(
    options: dict[str, str], becomes: str, meant: str
) -> None:
    asked = parse_preprocessing(**options)  # type: ignore[arg-type]
    assert asked is not None
    message = implausible_scaling(asked)
    assert message is not None and f"into {becomes}, values" in message and message.endswith(meant)
