"""Every registered model: what it takes and gives, and whether the registry's figures are true."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from edge_fm.models import MODELS, build_model, count_macs, describe_models, model_names
from edge_fm_runtime.errors import ModelError

PLAIN = [name for name in model_names() if not MODELS[name].backbone]
BACKBONES = [name for name in model_names() if MODELS[name].backbone]
LARGER = {"resnet152-v2", "mobilenet-v3-large", *(f"efficientnet-lite{number}" for number in range(1, 5))}


@pytest.mark.parametrize("name", model_names())
def test_figures_of_the_registry(name: str) -> None:
    entry = MODELS[name]
    model = build_model(name, input_shape=entry.input_shape, classes=entry.classes)
    assert model.count_params() == entry.params
    assert sum(math.prod(weight.shape) for weight in model.trainable_weights) == entry.trainable
    assert count_macs(model) == entry.macs


@pytest.mark.parametrize(
    ("name", "classes", "params", "trainable"),
    [
        ("cnn3", 5, 240_901, 240_901),
        ("cnn3-bn", 5, 242_309, 241_605),
        ("cnn4-bn", 5, 1_220_901, 1_219_109),
        ("cnn4-l2", 5, 3_383_589, 3_381_797),
        ("cnn2-dense", 10, 565_386, 565_386),
        ("cnn3-dropout", 10, 590_346, 590_346),
        # The original: 61,706 with all of S2's maps connected to all of C3's.
        ("lenet5", 10, 61_706, 61_706),
    ],
)
def test_published_parameter_counts(name: str, classes: int, params: int, trainable: int) -> None:
    entry = MODELS[name]
    assert (entry.input_shape, entry.classes, entry.params, entry.trainable) == (
        (28, 28, 1),
        classes,
        params,
        trainable,
    )


def check_predictions(model: Any, shape: tuple[int, int, int], classes: int, *, training: bool = False) -> None:
    assert [tensor.name for tensor in model.inputs] == ["image"]
    assert model.inputs[0].dtype == "uint8"
    assert model.output_names == ["probabilities"]
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    predictions = np.asarray(model(images, training=training))
    assert predictions.dtype == np.float32
    assert predictions.shape == (3, classes)
    np.testing.assert_allclose(predictions.sum(axis=1), 1, atol=1e-5)
    assert np.ptp(predictions, axis=0).max() > 0


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize(
    ("shape", "classes"), [((28, 28, 1), 10), ((32, 32, 3), 4), ((40, 24, 1), 2), ((48, 64, 3), 3)]
)
def test_takes_bytes_and_gives_probabilities(name: str, shape: tuple[int, int, int], classes: int) -> None:
    check_predictions(build_model(name, input_shape=shape, classes=classes), shape, classes)


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    # A larger network of a family with grey images would add seconds, and nothing else, to the smallest one.
    [
        *((name, (28, 28, 1), 10) for name in BACKBONES if name not in LARGER),
        *((n, (40, 24, 3), 3) for n in BACKBONES if not re.fullmatch("efficientnet-lite[123]", n)),
    ],
)
def test_backbones_take_bytes_of_grey_and_colour(name: str, shape: tuple[int, int, int], classes: int) -> None:
    # Some see 224x224 by default, which would take seconds more.
    model = build_model(name, input_shape=shape, classes=classes, size=32)
    # Fresh weights without statistics: all but training's own make every image alike.
    check_predictions(model, shape, classes, training=True)


@pytest.mark.parametrize(("name", "most"), [("edgenet-n", 25_000), ("edgenet-s", 100_000), ("edgenet-m", 270_000)])
def test_the_family_stays_small(name: str, most: int) -> None:
    assert MODELS[name].params <= most


def test_descriptions_need_no_keras() -> None:
    code = "import sys, edge_fm.models as m; print(len(m.describe_models())); assert 'keras' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(MODELS)
    assert set(describe_models()[0]) == {
        "name",
        "family",
        "params",
        "trainable",
        "macs",
        "input",
        "classes",
        "options",
        "weights",
        "accuracy",
        "recipe",
        "int8_accuracy",
        "int8_bytes",
        "int8_p50_ms",
        "recipes",
        "source",
    }


def test_descriptions_name_options_with_their_defaults() -> None:
    models = {entry["name"]: entry for entry in describe_models()}
    assert models["mobilenet-v2"]["options"] == {"alpha": 1.0, "size": 128, "dense": [256], "dropout": 0.5}
    assert models["mobilenet-v2"]["weights"] == ["none", "imagenet", "FILE"]
    assert models["edgenet-s"]["weights"] == ["none", "FILE"]
    assert models["cnn3-bn"]["options"] == {"dropout": None, "l2": None, "activation": "relu"}
    json.dumps(models)


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("absent", ["keras", "tensorflow"])
def test_without_keras_or_its_backend_the_error_names_the_extra(absent: str) -> None:
    code = (
        f"import sys; sys.modules[{absent!r}] = None\n"
        "from edge_fm.models import build_model\n"
        "from edge_fm_runtime.errors import MissingDependencyError\n"
        "try:\n    build_model('edgenet-s', input_shape=(28, 28, 1), classes=10)\n"
        "except MissingDependencyError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"needs {absent}" in done.stdout
    assert "pip install 'edge-fm[train]'" in done.stdout


def test_an_unknown_name_brings_the_nearest() -> None:
    with pytest.raises(ModelError, match="edgenet-s") as caught:
        build_model("edgnet-s", input_shape=(28, 28, 1), classes=10)
    assert caught.value.hint == "Did you mean 'edgenet-s'?"


def test_an_unknown_option_brings_the_nearest() -> None:
    with pytest.raises(ModelError, match="no option 'drop_out'") as caught:
        build_model("edgenet-s", input_shape=(28, 28, 1), classes=10, drop_out=0.1)
    assert caught.value.hint == "Did you mean 'dropout'?"


@pytest.mark.parametrize(
    ("shape", "classes", "options"),
    [
        ((28, 28), 10, {}),
        ((0, 28, 1), 10, {}),
        ((3, 28, 1), 10, {}),
        ((28, 28, 1), 1, {}),
        ((28, 28, 1), 10, {"dropout": 1.0}),
        ((28, 28, 1), 10, {"dropout": -0.1}),
    ],
)
def test_impossible_wishes(shape: tuple[int, ...], classes: int, options: dict[str, float]) -> None:
    with pytest.raises(ModelError):
        build_model("edgenet-s", input_shape=shape, classes=classes, **options)  # type: ignore[arg-type]


def test_macs_of_layers_that_can_be_counted_by_hand() -> None:
    import keras

    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(image)
    x = keras.layers.DepthwiseConv2D(3, strides=2, padding="same")(x)
    inner_input = keras.Input((4, 4, 4))
    inner = keras.Model(inner_input, keras.layers.SeparableConv2D(6, 3, padding="same")(inner_input))
    x = inner(x)
    x = keras.layers.Conv2DTranspose(2, 2, strides=2)(x)
    x = keras.layers.Dense(5)(keras.layers.Flatten()(x))
    model = keras.Model(image, x)
    by_hand = (
        8 * 8 * (3 * 3 * 3 * 4)
        + 4 * 4 * (3 * 3 * 4)
        + 4 * 4 * (3 * 3 * 4 + 4 * 6)
        + 4 * 4 * (2 * 2 * 2 * 6)
        + 8 * 8 * 2 * 5
    )
    assert count_macs(model) == by_hand
