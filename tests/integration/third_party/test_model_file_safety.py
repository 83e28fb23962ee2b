"""No file runs code when it is opened, unless a person vouches for it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_fm_export.compat.tensorflow_setup import require_tensorflow
from edge_fm_export.sources import load_source
from edge_fm_export.third_party_models.adapt import load_third_party_model
from edge_fm_export.third_party_models.safety import inspect_config
from edge_fm_runtime.errors import ModelError

pytestmark = pytest.mark.filterwarnings(
    # h5py writes legacy files through a NumPy call that NumPy has deprecated.
    "ignore::DeprecationWarning:h5py"
)

SHAPE = (8, 8, 3)


@pytest.fixture(scope="module")
def keras() -> Any:
    return require_tensorflow("the tests")[1]


def around(keras: Any, *layers: Any) -> Any:
    """A classifier with `layers` in front."""
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax")]
    return keras.Sequential([keras.Input(SHAPE), *layers, *head])


def hostile(keras: Any) -> Any:
    """A model that writes the file $EDGEFM_WITNESS when its Lambda layer is called, as it is when it is rebuilt."""
    layer = keras.layers.Lambda(
        lambda x: (__import__("pathlib").Path(__import__("os").environ["EDGEFM_WITNESS"]).write_text("ran"), x)[1],
        output_shape=SHAPE,
        name="innocent",
    )
    return around(keras, layer)


@pytest.fixture
def witness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEFM_WITNESS", str(tmp_path / "witness"))
    return tmp_path / "witness"


@pytest.mark.parametrize("open_it", [load_third_party_model, load_source])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_hostile_lambda_does_not_run(suffix: str, open_it: Any, keras: Any, witness: Path, tmp_path: Path) -> None:
    file = tmp_path / f"net{suffix}"
    hostile(keras).save(file)
    witness.unlink(missing_ok=True)
    with pytest.raises(ModelError, match="innocent") as caught:
        open_it(file)
    assert "--trust" in str(caught.value.hint)
    assert not witness.exists()


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_lambda_runs_when_it_is_trusted(suffix: str, keras: Any, witness: Path, tmp_path: Path) -> None:
    file = tmp_path / f"net{suffix}"
    hostile(keras).save(file)
    witness.unlink(missing_ok=True)
    source = load_third_party_model(file, trust=True)
    assert witness.exists(), "the test's own layer does not do what the others rely on"
    assert np.asarray(source.model(np.zeros((2, *SHAPE), np.uint8))).shape == (2, 3)


def test_a_lambda_inside_an_inner_model_is_found(keras: Any, tmp_path: Path) -> None:
    inner = keras.Sequential([keras.Input(SHAPE), keras.layers.Lambda(lambda x: x / 2, name="deep")])
    around(keras, inner).save(tmp_path / "net.keras")
    with pytest.raises(ModelError, match="deep"):
        load_third_party_model(tmp_path / "net.keras")


def test_a_lambda_in_an_activation_is_found() -> None:
    config = {
        "class_name": "Dense",
        "module": "keras.layers",
        "config": {"name": "dense", "activation": {"class_name": "__lambda__", "config": {"value": "gA=="}}},
    }
    assert inspect_config({"config": {"layers": [config]}}).code == ("dense",)


def test_a_layer_that_loads_another_program_is_refused(keras: Any, tmp_path: Path) -> None:
    inner = keras.Sequential([keras.Input(SHAPE), keras.layers.Conv2D(2, 3)])
    inner.export(tmp_path / "inner", verbose=False)
    around(keras, keras.layers.TFSMLayer(str(tmp_path / "inner"), call_endpoint="serve", name="other")).save(
        tmp_path / "net.keras"
    )
    with pytest.raises(ModelError, match="other") as caught:
        load_third_party_model(tmp_path / "net.keras")
    assert "--trust" in str(caught.value.hint)


def test_a_layer_of_ones_own_without_its_code(keras: Any, tmp_path: Path) -> None:
    class Halve(keras.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return inputs / 2

    around(keras, Halve()).save(tmp_path / "net.keras")
    with pytest.raises(ModelError, match="Halve") as caught:
        load_third_party_model(tmp_path / "net.keras")
    assert "model.export" in str(caught.value.hint)


def test_a_layer_of_ones_own_beside_the_file_is_imported_when_trusted(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "edgefm_test_layers"
    (tmp_path / f"{module}.py").write_text(
        "import keras\n\nclass Halve(keras.layers.Layer):\n    def call(self, inputs):\n        return inputs / 2\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    from importlib import import_module

    around(keras, import_module(module).Halve()).save(tmp_path / "net.keras")
    monkeypatch.undo()
    del sys.modules[module]
    with pytest.raises(ModelError, match=module):
        load_third_party_model(tmp_path / "net.keras")
    assert module not in sys.modules
    assert load_third_party_model(tmp_path / "net.keras", trust=True).input.shape == SHAPE
    del sys.modules[module]


def test_a_saved_model_that_calls_python_is_refused(tmp_path: Path) -> None:
    tf = require_tensorflow("the tests")[0]

    class Net(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec((None, *SHAPE), tf.float32)])  # type: ignore[untyped-decorator]
        def __call__(self, x: Any) -> Any:
            tf.io.write_file(str(tmp_path / "witness"), "ran")
            return tf.nn.softmax(tf.reduce_mean(x, axis=(1, 2)))

    net = Net()
    tf.saved_model.save(net, str(tmp_path / "net"), signatures=net.__call__.get_concrete_function())
    with pytest.raises(ModelError, match="WriteFile") as caught:
        load_third_party_model(tmp_path / "net")
    assert "--trust" in str(caught.value.hint)
    assert not (tmp_path / "witness").exists()
