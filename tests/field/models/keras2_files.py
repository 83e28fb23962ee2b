"""Files as Keras 2.13 to 2.15 and tf_keras write them, made by `keras2_writer` of what Keras 3 writes."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from field.case import Case, Model, ModelCase
from field.keras2_writer import written_by
from field.makers import CLASSES, SHAPE, body, keras, noise, saved


def _mobile(folder: Path, file: str) -> Model:
    k = keras()
    layers = k.layers
    image = k.Input(SHAPE)
    x = layers.RandomFlip("horizontal")(image)
    x = layers.Rescaling(1 / 127.5, offset=-1)(x)
    x = layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.LeakyReLU(0.2)(layers.BatchNormalization()(x))
    x = layers.ReLU(6.0)(layers.DepthwiseConv2D(3, padding="same")(x))
    x = layers.Add()([x, layers.SeparableConv2D(6, 3, padding="same")(x)])
    return saved(k.Model(image, body(x)), folder, file=file)


def _browser(folder: Path, file: str) -> Model:
    """The shape of what trainers in a browser download: a trunk and a head as models in a model."""
    k = keras()
    layers = k.layers
    image = k.Input(SHAPE)
    x = layers.Conv2D(6, 3, strides=2, use_bias=False)(image)
    trunk = k.Model(image, layers.DepthwiseConv2D(3, padding="same")(layers.BatchNormalization()(x)), name="trunk")
    features = k.Sequential([k.Input(SHAPE), trunk, layers.GlobalAveragePooling2D()])
    head = k.Sequential(
        [k.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(CLASSES, activation="softmax")]
    )
    return saved(k.Sequential([k.Input(SHAPE), features, head]), folder, file=file)


def _nested(folder: Path, file: str) -> Model:
    k = keras()
    layers = k.layers
    base_image = k.Input(SHAPE)
    base = k.Model(base_image, layers.Conv2D(4, 3)(base_image), name="base")
    small = k.Sequential([k.Input(SHAPE), layers.Conv2D(3, 3)], name="small")
    image = k.Input(SHAPE)
    x = layers.Concatenate()([base(image), small(image), base(layers.Rescaling(1 / 255)(image))])
    return saved(k.Model(image, body(x)), folder, file=file)


def _recurrent(folder: Path, file: str) -> Model:
    k = keras()
    layers = k.layers
    image = k.Input(SHAPE)
    x = layers.TimeDistributed(layers.Flatten())(layers.Rescaling(1 / 255)(image))
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    x = layers.GRU(4)(x)
    return saved(k.Model(image, layers.Dense(CLASSES, activation="softmax")(x)), folder, file=file)


def _attention(folder: Path, file: str) -> Model:
    k = keras()
    layers = k.layers
    image = k.Input((8, 8, 3))
    x = layers.Reshape((4, 8))(layers.Conv2D(8, 4, strides=4)(layers.Rescaling(1 / 255)(image)))
    x = layers.LayerNormalization()(layers.MultiHeadAttention(2, 4)(x, value=x))
    x = layers.GlobalAveragePooling1D()(x)
    return saved(k.Model(image, layers.Dense(CLASSES, activation="softmax")(x)), folder, file=file)


def _arithmetic(folder: Path, file: str, version: str) -> Model:
    """`1 - x / 255` between the input and the first layer: two layers named for TensorFlow's functions."""
    k = keras()
    image = k.Input(SHAPE, name="photo")
    model = k.Model(image, body(image))
    images = noise()
    made = saved(model, folder, file=file, images=images, fed=1 - images.astype("float32") / 255)

    def edit(config: dict[str, Any]) -> None:
        layers = config["config"]["layers"]
        (first,) = (layer for layer in layers if layer["class_name"] == "Conv2D")
        first["inbound_nodes"] = [[["tf.math.subtract", 0, 0, {}]]]
        named = "module" in first
        layers[1:1] = [
            _function(
                "tf.math.truediv", "math.truediv", ["photo", 0, 0, {"y": 255.0, "name": None}], "module" in first
            ),
            _function(
                "tf.math.subtract",
                "math.subtract",
                ["_CONSTANT_VALUE", -1, 1.0, {"y": ["tf.math.truediv", 0, 0], "name": None}],
                named,
            ),
        ]

    return written_by(made, version, edit)


def _function(name: str, function: str, node: list[Any], with_module: bool) -> dict[str, Any]:
    config = {"name": name, "trainable": True, "dtype": "float32", "function": function}
    entry = {"class_name": "TFOpLambda", "config": config, "name": name, "inbound_nodes": [node]}
    module = {"module": "keras.src.layers.core.tf_op_layer", "registered_name": "TFOpLambda"}
    return entry | (module if with_module else {})


def _slash(folder: Path, file: str) -> Model:
    """MobileNetV3 of Keras 2 names its layers "Conv/BatchNorm", which Keras 3 forbids."""

    def edit(config: dict[str, Any]) -> None:
        text = json.dumps(config).replace('"first"', '"Conv/first"')
        config.clear()
        config.update(json.loads(text))

    k = keras()
    image = k.Input(SHAPE)
    x = k.layers.Conv2D(4, 3, name="first")(image)
    return written_by(saved(k.Model(image, body(x)), folder, file=file), "2.15.0", edit)


def _hard_sigmoid(folder: Path, file: str) -> Model:
    """Keras 2's hard_sigmoid is clip(0.2 x + 0.5, 0, 1); Keras 3 gives the name to another slope."""
    k = keras()
    image = k.Input(SHAPE)
    features = k.layers.Conv2D(4, 3, name="features")(k.layers.Rescaling(1 / 64)(image))
    x = k.layers.Activation("hard_sigmoid", name="hard")(features)
    model = k.Model(image, body(x))
    made = written_by(saved(model, folder, file=file), "2.15.0")
    values = np.asarray(k.Model(image, features)(made.images.astype("float32")))
    x = np.clip(0.2 * values + 0.5, 0, 1)
    for layer in model.layers[-3:]:
        x = layer(x)
    return replace(made, expected=np.asarray(x))


def _training_outputs(folder: Path, file: str) -> Model:
    """As `model.add_loss(tf.math.erfc(x))` and `model.add_metric` leave it: layers that no output needs."""

    def edit(config: dict[str, Any]) -> None:
        layers = config["config"]["layers"]
        source = next(layer for layer in layers if layer["class_name"] == "DepthwiseConv2D")["config"]["name"]
        loss = _own("AddLoss", {"name": "add_loss", "trainable": True, "dtype": "float32", "unconditional": False})
        metric = _own("AddMetric", {"name": "add_metric", "trainable": True, "dtype": "float32", "aggregation": "mean"})
        layers.append(_function("tf.math.erfc", "math.erfc", [source, 0, 0, {}], with_module=file.endswith(".keras")))
        layers.append({**loss, "name": "add_loss", "inbound_nodes": [[["tf.math.erfc", 0, 0, {}]]]})
        layers.append({**metric, "name": "add_metric", "inbound_nodes": [[[source, 0, 0, {}]]]})

    def _own(kind: str, config: dict[str, Any]) -> dict[str, Any]:
        module = {"module": "keras.layers", "registered_name": None} if file.endswith(".keras") else {}
        return {"class_name": kind, "config": config} | module

    return written_by(_mobile(folder, file), "2.15.0", edit)


def _dropouts(folder: Path, file: str) -> Model:
    """Arguments of dropout that Keras 3 lacks, and a model and a layer whose names have a slash."""

    def edit(config: dict[str, Any]) -> None:
        config["config"]["name"] = "net/flowers"
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "SpatialDropout2D":
                layer["config"] |= {"trainable": True, "noise_shape": None}

    k = keras()
    image = k.Input(SHAPE)
    x = k.layers.SpatialDropout2D(0.2)(k.layers.Conv2D(4, 3)(image))
    return written_by(saved(k.Model(image, body(x)), folder, file=file), "2.15.0", edit)


def _gone(folder: Path) -> Model:
    def edit(config: dict[str, Any]) -> None:
        (first,) = (layer for layer in config["config"]["layers"] if layer["class_name"] == "DepthwiseConv2D")
        first["class_name"] = "LocallyConnected2D"

    return written_by(_mobile(folder, "net.keras"), "2.13.1", edit)


def _groups(folder: Path) -> Model:
    def edit(config: dict[str, Any]) -> None:
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "DepthwiseConv2D":
                layer["config"]["groups"] = 2

    return written_by(_mobile(folder, "net.h5"), "2.11.0", edit)


def _own_layer(folder: Path) -> Model:
    def edit(config: dict[str, Any]) -> None:
        config["config"]["layers"][1] |= {"class_name": "Patches", "module": None, "registered_name": "Patches"}

    return written_by(_mobile(folder, "net.keras"), "2.21.0", edit)


def _lambda(folder: Path) -> Model:
    def edit(config: dict[str, Any]) -> None:
        first = config["config"]["layers"][1]
        first["class_name"] = "Lambda"
        first["config"] |= {"function": {"class_name": "__lambda__", "config": {"code": "4w==\n"}}}

    return written_by(_mobile(folder, "net.keras"), "2.14.0", edit)


def _function_of_files(folder: Path) -> Model:
    def edit(config: dict[str, Any]) -> None:
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "TFOpLambda":
                layer["config"]["function"] = "io.read_file"

    made = _arithmetic(folder, "net.h5", "2.15.0")
    import h5py

    with h5py.File(made.path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        edit(config)
        file.attrs["model_config"] = json.dumps(config)
    return made


def _newer(folder: Path) -> Model:
    made = _mobile(folder, "net.keras")
    old = made.path.rename(folder / "old.zip")
    with zipfile.ZipFile(old) as source, zipfile.ZipFile(made.path, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "metadata.json":
                data = json.dumps({"keras_version": "3.99.1"}).encode()
            if name == "config.json":
                data = data.replace(b'"padding":', b'"padding_of_the_future":')
            target.writestr(name, data)
    shutil.rmtree(old, ignore_errors=True)
    return made


_ADVICE = r"tf\.saved_model\.save\(model, 'folder'\).*edgefm export folder"
_KINDS: dict[str, tuple[Callable[[Path, str], Model], tuple[str, ...]]] = {
    "mobile": (_mobile, ("2.13.1", "2.15.0", "2.21.0")),
    "of a trainer in the browser": (_browser, ("2.8.0",)),
    "models as layers": (_nested, ("2.15.0", "2.18.0")),
    "recurrent": (_recurrent, ("2.15.0",)),
    "attention": (_attention, ("2.15.0",)),
}
CASES: tuple[Case, ...] = (
    *(
        ModelCase(
            f"Keras {version} {kind} {suffix}",
            lambda folder, make=make, version=version, suffix=suffix: written_by(make(folder, f"net{suffix}"), version),
        )
        for kind, (make, versions) in _KINDS.items()
        for version in versions
        for suffix in (".keras", ".h5")
    ),
    ModelCase("Keras 2 arithmetic .keras", lambda folder: _arithmetic(folder, "net.keras", "2.15.0")),
    ModelCase("Keras 2 arithmetic .h5", lambda folder: _arithmetic(folder, "net.h5", "2.9.0")),
    ModelCase("Keras 2 layer names with a slash", lambda folder: _slash(folder, "net.keras")),
    *(
        ModelCase(f"Keras 2 {name} {suffix}", lambda folder, make=make, suffix=suffix: make(folder, f"net{suffix}"))
        for name, make in (("add_loss and add_metric", _training_outputs), ("SpatialDropout2D", _dropouts))
        for suffix in (".keras", ".h5")
    ),
    ModelCase("Keras 2 hard_sigmoid", lambda folder: _hard_sigmoid(folder, "net.h5")),
    ModelCase("Keras 2 layer that is gone", _gone, error=rf"Keras 2\.13\.1.*LocallyConnected2D.*{_ADVICE}"),
    ModelCase("Keras 2 argument with a meaning", _groups, error=rf"Keras 2\.11\.0.*groups=2.*{_ADVICE}"),
    ModelCase("Keras 2 layer of one's own", _own_layer, error=rf"Patches.*tf_keras 2\.21\.0.*{_ADVICE}"),
    ModelCase("Keras 2 Lambda", _lambda, error=rf"Lambda layer.*Keras 2\.14\.0.*{_ADVICE}"),
    ModelCase("Keras 2 function on files", _function_of_files, error=r"no counterpart.*tf\.io\.read_file"),
    ModelCase("newer Keras", _newer, error=r"newer Keras 3\.99\.1.*pip install 'keras>=3\.99\.1'"),
)
