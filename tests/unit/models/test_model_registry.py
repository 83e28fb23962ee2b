"""Every registered model: what it takes and gives, and whether the registry's figures are true."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from edge_fm.models import MODELS, build_model, count_macs, describe_models, model_names
from edge_fm_runtime.errors import ModelError


@pytest.mark.parametrize("name", model_names())
def test_figures_of_the_registry(name: str) -> None:
    entry = MODELS[name]
    model = build_model(name, input_shape=entry.input_shape, classes=entry.classes)
    assert model.count_params() == entry.params
    assert count_macs(model) == entry.macs


@pytest.mark.parametrize("name", model_names())
@pytest.mark.parametrize(
    ("shape", "classes"), [((28, 28, 1), 10), ((32, 32, 3), 4), ((40, 24, 1), 2), ((96, 128, 3), 3)]
)
def test_takes_bytes_and_gives_probabilities(name: str, shape: tuple[int, int, int], classes: int) -> None:
    model = build_model(name, input_shape=shape, classes=classes)
    assert [tensor.name for tensor in model.inputs] == ["image"]
    assert model.inputs[0].dtype == "uint8"
    assert model.output_names == ["probabilities"]
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    answers = model.predict(images, verbose=0)
    assert answers.dtype == np.float32
    assert answers.shape == (3, classes)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    assert np.ptp(answers, axis=0).max() > 0


def test_edgenet_s_stays_small() -> None:
    assert MODELS["edgenet-s"].params <= 100_000


def test_descriptions_need_no_keras() -> None:
    code = "import sys, edge_fm.models as m; print(len(m.describe_models())); assert 'keras' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(MODELS)
    assert set(describe_models()[0]) == {
        "name",
        "family",
        "params",
        "macs",
        "input",
        "accuracy",
        "int8_bytes",
        "source",
    }


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
