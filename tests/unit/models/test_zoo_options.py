"""What can be tuned about the models, and what cannot."""

from __future__ import annotations

from typing import Any

import pytest

from edge_fm.models import build_model
from edge_fm_runtime.errors import ModelError

GREY = (28, 28, 1)


def rates(model: Any) -> list[tuple[str, float]]:
    return [(layer.name, layer.rate) for layer in model.layers if type(layer).__name__ == "Dropout"]


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("cnn3-bn", [0.25, 0.25, 0.4, 0.3]),
        ("cnn4-bn", [0.2, 0.2, 0.3, 0.4, 0.4]),
        ("cnn4-l2", [0.25, 0.25, 0.4, 0.5, 0.5]),
        ("mobilenet-v2", [0.5]),
        ("cnn3", []),
    ],
)
def test_published_dropout(name: str, published: list[float]) -> None:
    assert [rate for _, rate in rates(build_model(name, input_shape=GREY, classes=5))] == published


def test_dropout_can_be_one_rate_or_one_for_each_place() -> None:
    same = build_model("cnn3-bn", input_shape=GREY, classes=5, dropout=0.1)
    assert [rate for _, rate in rates(same)] == [0.1] * 4
    each = build_model("cnn3-bn", input_shape=GREY, classes=5, dropout=[0.1, 0, 0.2, 0.3])
    assert rates(each) == [("conv1_dropout", 0.1), ("conv3_dropout", 0.2), ("dense1_dropout", 0.3)]


def test_kernels_start_and_are_held_as_published() -> None:
    import keras

    first, second = build_model("cnn3", input_shape=GREY, classes=5).layers[2:5:2]
    assert isinstance(first.kernel_initializer, keras.initializers.HeNormal)
    assert isinstance(second.kernel_initializer, keras.initializers.GlorotUniform)
    held = build_model("cnn4-l2", input_shape=GREY, classes=5)
    convolutions = [layer for layer in held.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [float(layer.kernel_regularizer.l2) for layer in convolutions] == pytest.approx([0.001] * 4)
    assert len(held.losses) == 4
    assert build_model("cnn4-l2", input_shape=GREY, classes=5, l2=0).losses == []


def test_lenet5_can_be_tuned() -> None:
    tuned = build_model(
        "lenet5",
        input_shape=GREY,
        classes=10,
        kernels=[8, 20],
        kernel_size=3,
        dense=[64, 32, 16],
        activation="relu",
        pooling="max",
        dropout=0.2,
    )
    kinds = [type(layer).__name__ for layer in tuned.layers]
    assert (kinds.count("MaxPooling2D"), kinds.count("Dense"), kinds.count("Dropout")) == (2, 4, 3)
    # 32 -> 30 -> 15 -> 13 -> 6
    assert tuned.get_layer("dense1").kernel.shape == (6 * 6 * 20, 64)


@pytest.mark.parametrize(
    ("shape", "layer"), [((28, 28, 1), "pad"), ((30, 29, 3), "pad"), ((32, 32, 1), None), ((64, 20, 1), "resize")]
)
def test_lenet5_brings_every_image_to_32x32(shape: tuple[int, int, int], layer: str | None) -> None:
    model = build_model("lenet5", input_shape=shape, classes=10)
    assert model.get_layer("conv1").input.shape == (None, 32, 32, shape[2])
    found = [name for name in ("pad", "resize") if any(each.name.startswith(name) for each in model.operations)]
    assert found == ([layer] if layer else [])


def test_backbones_take_any_width_size_and_head() -> None:
    narrow = build_model("mobilenet-v2", input_shape=(20, 30, 3), classes=3, alpha=0.35, size=96, dense=[], dropout=0)
    assert sum(layer.count_params() for layer in narrow.layers) == 410_208 + 1280 * 3 + 3
    assert narrow.get_layer("Conv1").input.shape == (None, 96, 96, 3)
    assert build_model("resnet18", input_shape=GREY, classes=3, dense=[50, 20]).get_layer("head_dense2").units == 20


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("cnn3", {"dropout": 0.1}, "cnn3 drops nowhere"),
        ("cnn3-bn", {"dropout": [0.1, 0.2]}, "behind conv1, conv2, conv3, dense1"),
        ("cnn3-bn", {"dropout": [0.1, 0.2, 0.3, 1.0]}, "a share"),
        ("cnn4-l2", {"l2": -1.0}, "l2 is -1.0"),
        ("cnn3", {"activation": "rleu"}, "Supported: relu"),
        ("lenet5", {"kernels": [6]}, "2 whole numbers"),
        ("lenet5", {"kernels": "616"}, "2 whole numbers"),
        ("lenet5", {"kernel_size": 12}, "2 to 11"),
        ("lenet5", {"dense": [0]}, "at least 1"),
        ("lenet5", {"pooling": "mean"}, "average, max"),
        ("convnet5", {"dense": 0}, "at least 1"),
        ("mobilenet", {"alpha": 0}, "width multiplier"),
        ("mobilenet-v2", {"alpha": True}, "width multiplier"),
        ("vgg16", {"size": 31}, "at least 32"),
        ("vgg16", {"size": 32.0}, "at least 32"),
        ("resnet50", {"alpha": 0.5}, "no option 'alpha'"),
        ("resnet50", {"dropout": "high"}, "a share"),
    ],
)
def test_impossible_options(name: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        build_model(name, input_shape=GREY, classes=5, **options)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("cnn3", (17, 28, 1)), ("cnn4-bn", (28, 15, 1)), ("convnet5", (3, 9, 1)), ("vgg19", (28, 28, 2))],
)
def test_impossible_images(name: str, shape: tuple[int, int, int]) -> None:
    with pytest.raises(ModelError):
        build_model(name, input_shape=shape, classes=5)


@pytest.mark.parametrize(("name", "shape"), [("cnn3", (18, 18, 1)), ("cnn4-bn", (16, 16, 1)), ("convnet5", (4, 4, 1))])
def test_the_smallest_images(name: str, shape: tuple[int, int, int]) -> None:
    assert build_model(name, input_shape=shape, classes=5).output_shape == (None, 5)
