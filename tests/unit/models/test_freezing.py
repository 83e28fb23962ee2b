"""What is frozen by which words, and that training leaves it alone, statistics included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_fm.models import build_model
from edge_fm.models.freezing import freeze_layers, frozen_parts, named, stages
from edge_fm_runtime.errors import ModelError

RESNET = {"weights": "imagenet", "freeze": "auto", "unfreeze": ()}


@pytest.fixture(scope="module")
def resnet18() -> Any:
    return build_model("resnet18", input_shape=(28, 28, 1), classes=3)


@pytest.mark.parametrize(
    ("name", "words", "parts"),
    [
        ("resnet18", {}, (("backbone",), ("layer4",))),
        ("resnet18", {"unfreeze": ("layer3", "layer4")}, (("backbone",), ("layer4", "layer3"))),
        ("resnet18", {"freeze": "backbone"}, (("backbone",), ())),
        ("resnet18", {"freeze": "none"}, ((), ())),
        ("resnet18", {"weights": "none"}, ((), ())),
        ("resnet18", {"weights": "none", "unfreeze": ("layer4",)}, (("backbone",), ("layer4",))),
        ("vgg16", {"weights": "file.h5"}, (("backbone",), ())),
        (
            "vgg16",
            {"freeze": ("block1", "block2"), "unfreeze": ("block2_conv2",)},
            (("block1", "block2"), ("block2_conv2",)),
        ),
        ("cnn3", {"weights": "file.h5"}, ((), ())),
    ],
)
def test_words_become_names(name: str, words: dict[str, Any], parts: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    assert frozen_parts(name, **{**RESNET, **words}) == parts


def test_names_are_layers_and_stages(resnet18: Any) -> None:
    assert stages(resnet18) == ["conv1", "layer1", "layer2", "layer3", "layer4", "logits"]
    assert [layer.name for layer in named(resnet18, "logits")] == ["logits"]
    assert {layer.name.split("_")[0] for layer in named(resnet18, "layer4")} == {"layer4"}
    assert [layer.name for layer in named(resnet18, "layer4_block1_a")] == [
        "layer4_block1_a_pad",
        "layer4_block1_a_conv",
        "layer4_block1_a_bn",
        "layer4_block1_a_relu",
    ]
    assert named(resnet18, "backbone")[-1].name == "features"
    # block_1 is not block_10 to block_16.
    mobile = build_model("mobilenet-v2", input_shape=(28, 28, 1), classes=3, alpha=0.05, size=32)
    assert all(layer.name.startswith("block_1_") for layer in named(mobile, "block_1"))


@pytest.mark.parametrize("name", ["layer5", "features", "lay", ""])
def test_a_name_that_nothing_has_brings_the_stages(name: str, resnet18: Any) -> None:
    with pytest.raises(ModelError, match="conv1, layer1, layer2, layer3, layer4, logits"):
        freeze_layers(resnet18, [name])


def test_something_must_be_left_to_train() -> None:
    model = build_model("cnn3", input_shape=(28, 28, 1), classes=3)
    with pytest.raises(ModelError, match="nothing is left to train"):
        freeze_layers(model, stages(model))


def test_training_leaves_frozen_layers_and_their_statistics_alone() -> None:
    model = build_model("cnn3-bn", input_shape=(28, 28, 1), classes=3)
    freeze_layers(model, ["conv1", "conv2"], ["conv2_bn"])
    before = {layer.name: layer.get_weights() for layer in model.layers}
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    images = np.random.default_rng(0).integers(0, 256, (16, 28, 28, 1), dtype=np.uint8)
    model.fit(images, np.arange(16) % 3, batch_size=8, verbose=0)

    def same(name: str) -> list[bool]:
        return [np.array_equal(a, b) for a, b in zip(before[name], model.get_layer(name).get_weights(), strict=True)]

    assert all(same("conv1")) and all(same("conv1_bn")) and all(same("conv2"))
    assert not any(same("conv2_bn")) and not any(same("conv3_bn")) and not any(same("logits"))
