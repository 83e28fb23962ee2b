"""Third-party models of every kind are wrapped as EdgeFM's own, or are refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refused_models import backbone, channels_first, no_weights, of_rows, tokens, two_inputs, two_outputs

from edge_fm_export.compat.tensorflow_setup import require_tensorflow
from edge_fm_export.third_party_models.adapt import load_third_party_model
from edge_fm_export.third_party_models.pixel_scaling import find_preset, parse_preprocessing
from edge_fm_runtime.errors import ModelError

pytestmark = pytest.mark.filterwarnings(
    # h5py writes legacy files through a NumPy call that NumPy has deprecated.
    "ignore::DeprecationWarning:h5py"
)

SHAPE = (16, 12, 3)
Make = Callable[[Any], Any]


@pytest.fixture(scope="module")
def keras() -> Any:
    module = require_tensorflow("the tests")[1]
    module.utils.set_random_seed(3)
    return module


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (24, *SHAPE), dtype=np.uint8)


def sequential(keras: Any, *, activation: str | None = "softmax", classes: int = 4, scaled: bool = True) -> Any:
    layers = keras.layers
    first = [layers.Rescaling(1 / 255)] if scaled else []
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            *first,
            layers.Conv2D(6, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(classes, activation=activation),
        ]
    )


def two_branches(keras: Any) -> Any:
    layers = keras.layers
    image = keras.Input(SHAPE, name="photo")
    shared = layers.Conv2D(4, 3, padding="same", activation="relu", name="shared")
    left, right = shared(image), shared(layers.AveragePooling2D(3, strides=1, padding="same")(image))
    joined = layers.Concatenate()([layers.GlobalAveragePooling2D()(left), layers.GlobalMaxPooling2D()(right)])
    return keras.Model(image, layers.Dense(4, activation="softmax")(layers.Rescaling(1 / 255)(joined)))


def nested(keras: Any) -> Any:
    image = keras.Input(SHAPE)
    return keras.Model(image, keras.layers.Softmax()(sequential(keras, activation=None)(image)))


def returns_dict(keras: Any) -> Any:
    image = keras.Input(SHAPE)
    return keras.Model(image, {"classes": sequential(keras)(image)})


KINDS: dict[str, Make] = {
    "sequential": sequential,
    "two branches": two_branches,
    "nested": nested,
    "dict": returns_dict,
}


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("kind", ["sequential", "two branches", "nested"])
def test_files_predict_as_the_model_did(kind: str, suffix: str, keras: Any, images: Any, tmp_path: Path) -> None:
    model = KINDS[kind](keras)
    file = tmp_path / f"net{suffix}"
    model.save(file)
    check_contract(load_third_party_model(file), model, images, "net")


def test_output_in_a_dict_of_one(keras: Any, images: Any, tmp_path: Path) -> None:
    model = returns_dict(keras)
    model.save(tmp_path / "net.keras")
    source = load_third_party_model(tmp_path / "net.keras")
    expected = np.asarray(model(images.astype("float32"))["classes"])
    np.testing.assert_allclose(np.asarray(source.model(images)), expected, atol=1e-6)


@pytest.mark.parametrize("layout", ["folder", "served"])
@pytest.mark.parametrize("how", ["model.export", "tf.saved_model.save"])
def test_saved_models(how: str, layout: str, keras: Any, images: Any, tmp_path: Path) -> None:
    model = sequential(keras)
    folder = tmp_path / "flowers"
    written = folder / "7" if layout == "served" else folder
    if how == "model.export":
        model.export(written, verbose=False)
    else:
        tf = require_tensorflow("the tests")[0]
        tf.saved_model.save(model, str(written))
    source = load_third_party_model(folder)
    check_contract(source, model, images, "flowers")
    assert load_third_party_model(written).name == "flowers"


def test_a_saved_model_goes_all_the_way(keras: Any, images: Any, tmp_path: Path) -> None:
    from exporting import export

    from edge_fm_export.context import EvaluationSet
    from edge_fm_export.quantization.calibration import hash_images
    from edge_fm_export.targets import parse_targets

    sequential(keras).export(tmp_path / "flowers" / "1", verbose=False)
    test = EvaluationSet("noise", images, None, hash_images(images, None))
    source = load_third_party_model(tmp_path / "flowers")
    report = export(source, parse_targets(["onnx", "openvino", "litert"]), tmp_path / "out", test=test)
    assert [made.parity.top1_agreement for made in report.results] == [1.0, 1.0, 1.0]


def test_a_registered_subclassed_model(keras: Any, images: Any, tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable("edgefm_tests")
    class Net(keras.Model):  # type: ignore[misc]
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.convolution = keras.layers.Conv2D(4, 3, activation="relu")
            self.pool = keras.layers.GlobalAveragePooling2D()
            self.head = keras.layers.Dense(4, activation="softmax")

        def call(self, inputs: Any, training: bool = False) -> Any:
            return self.head(self.pool(self.convolution(inputs / 255.0)))

    model = Net()
    model(np.zeros((1, *SHAPE), np.float32))
    model.save(tmp_path / "net.keras")
    check_contract(load_third_party_model(tmp_path / "net.keras"), model, images, "net")


def check_contract(source: Any, model: Any, images: Any, name: str) -> None:
    """Uint8 in, float32 probabilities out, the predictions of `model` to the same pixels."""
    wrapped = source.model
    assert source.name == name
    assert wrapped.inputs[0].dtype == "uint8" and wrapped.inputs[0].name == "image"
    assert wrapped.output_names == ["probabilities"] and wrapped.outputs[0].dtype == "float32"
    assert source.input.shape == SHAPE
    assert source.labels == ("class_0", "class_1", "class_2", "class_3")
    assert not source.named
    predictions = np.asarray(wrapped(images))
    np.testing.assert_allclose(predictions, np.asarray(model(images.astype("float32"))), atol=1e-6)
    np.testing.assert_allclose(predictions.sum(axis=1), 1.0, atol=1e-5)


def test_logits_get_a_softmax(keras: Any, images: Any, tmp_path: Path) -> None:
    model = sequential(keras, activation=None)
    model.save(tmp_path / "net.keras")
    source = load_third_party_model(tmp_path / "net.keras")
    assert any("softmax was added" in note for note in source.notes)
    expected = np.asarray(keras.ops.softmax(model(images.astype("float32"))))
    np.testing.assert_allclose(np.asarray(source.model(images)), expected, atol=1e-6)


def test_logits_between_0_and_1_are_still_logits(keras: Any, tmp_path: Path) -> None:
    model = sequential(keras, activation=None)
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel * 1e-4, bias + 0.5])
    model.save(tmp_path / "net.keras")
    source = load_third_party_model(tmp_path / "net.keras")
    assert any("softmax was added" in note for note in source.notes)


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_one_output_becomes_two_classes(activation: str | None, keras: Any, images: Any, tmp_path: Path) -> None:
    model = sequential(keras, activation=activation, classes=1)
    model.save(tmp_path / "net.keras")
    source = load_third_party_model(tmp_path / "net.keras", labels=["no", "yes"])
    assert source.labels == ("no", "yes")
    yes = np.asarray(model(images.astype("float32")))
    yes = yes if activation else 1 / (1 + np.exp(-yes))
    np.testing.assert_allclose(np.asarray(source.model(images)), np.hstack([1 - yes, yes]), atol=1e-6)


@pytest.mark.parametrize("name", ["MobileNetV2", "DenseNet121", "ResNet50"])
def test_presets_do_what_keras_does(name: str, keras: Any, images: Any, tmp_path: Path) -> None:
    module = {"MobileNetV2": "mobilenet_v2", "DenseNet121": "densenet", "ResNet50": "resnet"}[name]
    model = sequential(keras, scaled=False)
    model.save(tmp_path / "net.keras")
    source = load_third_party_model(tmp_path / "net.keras", preprocessing=find_preset(name))
    scaled = getattr(keras.applications, module).preprocess_input(images.astype("float32"))
    np.testing.assert_allclose(np.asarray(source.model(images)), np.asarray(model(scaled)), atol=1e-5)
    assert any(module in note for note in source.notes)


def test_numbers_do_what_they_say(keras: Any, images: Any, tmp_path: Path) -> None:
    model = sequential(keras, scaled=False)
    model.save(tmp_path / "net.keras")
    asked = parse_preprocessing(input_scale="1/255", mean="0.1,0.2,0.3", std="0.5,0.6,0.7")
    source = load_third_party_model(tmp_path / "net.keras", preprocessing=asked)
    scaled = (images / np.float32(255) - np.float32([0.1, 0.2, 0.3])) / np.float32([0.5, 0.6, 0.7])
    np.testing.assert_allclose(np.asarray(source.model(images)), np.asarray(model(scaled)), atol=1e-5)


def test_open_input_size_needs_an_option(keras: Any, images: Any, tmp_path: Path) -> None:
    layers = keras.layers
    image = keras.Input((None, None, 3))
    head = layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image)))
    model = keras.Model(image, head)
    model.save(tmp_path / "net.keras")
    with pytest.raises(ModelError, match="any size") as caught:
        load_third_party_model(tmp_path / "net.keras")
    assert "--input-size" in str(caught.value.hint)
    source = load_third_party_model(tmp_path / "net.keras", input_size=SHAPE[:2])
    assert source.input.shape == SHAPE
    np.testing.assert_allclose(np.asarray(source.model(images)), np.asarray(model(images.astype("float32"))), atol=1e-6)


def multi_label(keras: Any) -> Any:
    return sequential(keras, activation="hard_sigmoid")


def broken(keras: Any) -> Any:
    model = sequential(keras)
    model.layers[-1].set_weights([np.full_like(w, np.nan) for w in model.layers[-1].get_weights()])
    return model


REFUSED: dict[str, tuple[Make, str]] = {
    "two inputs": (two_inputs, "2 inputs: photo .*age"),
    "two outputs": (two_outputs, "2 outputs"),
    "backbone": (backbone, "a map of features"),
    "tokens": (tokens, "a sequence"),
    "no weights": (no_weights, "no weights"),
    "rows": (of_rows, "not an image"),
    "channels first": (channels_first, "channels first"),
    "multi-label without a sigmoid": (multi_label, "multi-label"),
    "NaN": (broken, "NaN"),
}


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_refused_with_a_reason(kind: str, keras: Any, tmp_path: Path) -> None:
    make, message = REFUSED[kind]
    make(keras).save(tmp_path / "net.keras")
    with pytest.raises(ModelError, match=message) as caught:
        load_third_party_model(tmp_path / "net.keras")
    assert caught.value.hint


def test_a_sigmoid_for_each_of_several_labels_is_multi_label(keras: Any, tmp_path: Path) -> None:
    sequential(keras, activation="sigmoid").save(tmp_path / "net.keras")
    source = load_third_party_model(tmp_path / "net.keras")
    assert source.task == "multi-label"
    assert any("multi-label" in note for note in source.notes)
    sequential(keras).save(tmp_path / "softmax.keras")
    assert load_third_party_model(tmp_path / "softmax.keras").task is None


def test_wrong_labels_name_both_counts(keras: Any, tmp_path: Path) -> None:
    sequential(keras).save(tmp_path / "net.keras")
    with pytest.raises(ModelError, match=r"3 labels.* 4 classes"):
        load_third_party_model(tmp_path / "net.keras", labels=["a", "b", "c"])


def test_preset_of_three_channels_on_a_grey_model(keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    model.save(tmp_path / "net.keras")
    with pytest.raises(ModelError, match="1 channel"):
        load_third_party_model(tmp_path / "net.keras", preprocessing=find_preset("torch"))


@pytest.mark.parametrize("name", ["nothing.keras", "photo.jpg", "weights.h5"])
def test_other_files_are_refused(name: str, keras: Any, tmp_path: Path) -> None:
    file = tmp_path / name
    if name == "weights.h5":
        sequential(keras).save_weights(tmp_path / "net.weights.h5")
        (tmp_path / "net.weights.h5").rename(file)
    else:
        file.write_bytes(b"no model")
    with pytest.raises(ModelError) as caught:
        load_third_party_model(file)
    assert caught.value.hint
