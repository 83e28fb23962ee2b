"""Names that collide with ours, layers that a library cannot run at a precision, and paths as users type them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from field.case import Case, Model, ModelCase
from field.makers import SHAPE, body, keras, noise, saved


def _named(folder: Path, *, model: str | None = None, layer: str | None = None, file: str = "net.keras") -> Model:
    k = keras()
    image = k.Input(SHAPE, name=layer)
    return saved(k.Model(image, body(k.layers.Rescaling(1 / 255)(image)), name=model), folder, file=file)


def _inner_name(folder: Path, name: str) -> Model:
    k = keras()
    image = k.Input(SHAPE)
    x = k.layers.Rescaling(1 / 255, name=name)(image)
    return saved(k.Model(image, body(x)), folder)


def _bicubic(folder: Path) -> Model:
    k = keras()
    image = k.Input((48, 48, 3))
    x = k.layers.Resizing(16, 16, interpolation="bicubic")(image)
    return saved(k.Model(image, body(k.layers.Rescaling(1 / 255)(x))), folder)


def _resized(folder: Path, interpolation: str) -> Model:
    k = keras()
    image = k.Input((24, 24, 3))
    x = k.layers.Resizing(16, 16, interpolation=interpolation)(image)
    return saved(k.Model(image, body(k.layers.Rescaling(1 / 255)(x))), folder)


def _capitals(folder: Path, file: str) -> Model:
    made = _named(folder, file=file.lower())
    return replace(made, path=made.path.rename(folder / file))


def _protobuf(folder: Path) -> Model:
    made = _named(folder, file="flowers")
    return replace(made, path=made.path / "saved_model.pb")


def _gru(folder: Path) -> Model:
    k = keras()
    image = k.Input((6, 8, 3))
    x = k.layers.GRU(4)(k.layers.Reshape((6, 24))(image))
    return saved(k.Model(image, k.layers.Dense(4, activation="softmax")(x)), folder)


def _fails_in_keras(folder: Path) -> Model:
    """In Keras 3.15 a RandomCrop returns another size than the one that the next layer was built for."""
    k = keras()
    image = k.Input(SHAPE)
    x = k.layers.Flatten()(k.layers.RandomCrop(8, 8)(image))
    k.Model(image, k.layers.Dense(4, activation="softmax")(x)).save(folder / "crop.keras")
    return Model(folder / "crop.keras", noise())


def _chance_in_a_branch(folder: Path) -> Model:
    """As the layers for augmentation of Keras 2: chance stands in one branch of a condition."""
    keras()
    import tensorflow as tf

    class Net(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            self.weights = tf.Variable(tf.ones((3, 4)))
            self.training = tf.Variable(False)

        @tf.function(input_signature=[tf.TensorSpec((None, *SHAPE), tf.float32)])
        def __call__(self, images: Any) -> Any:
            x = tf.reduce_mean(images, axis=(1, 2))
            x = tf.cond(self.training, lambda: x + tf.random.uniform(()), lambda: x)
            return tf.nn.softmax(x @ self.weights)

    net = Net()
    tf.saved_model.save(net, str(folder / "net"), signatures=net.__call__)
    return Model(folder / "net", noise())


@dataclass(frozen=True)
class SaidOnce:
    """What fails at each precision for one reason is said once."""

    name: str = "one reason for two precisions"

    def check(self, folder: Path) -> None:
        """Export to both, and count."""
        case = ModelCase(
            "both", _gru, formats=("litert",), precision="fp32,fp16", error="litert fp32, fp16: .*TensorListReserve"
        )
        case.check(folder)
        once = ModelCase("once", _gru, formats=("litert",), precision="fp32,fp16", error="^(?!(.*cannot convert){2})")
        (folder / "again").mkdir()
        once.check(folder / "again")


@dataclass(frozen=True)
class Silence:
    """A conversion that fails says so in its error, and native code writes nothing beside it."""

    name: str
    case: ModelCase

    def check(self, folder: Path) -> None:
        """Export with file descriptor 2 in a file."""
        kept = os.dup(2)
        with (folder / "stderr.txt").open("wb") as file:
            os.dup2(file.fileno(), 2)
            try:
                (folder / "model").mkdir()
                self.case.check(folder / "model")
            finally:
                os.dup2(kept, 2)
                os.close(kept)
        log = (folder / "stderr.txt").read_text(encoding="utf-8", errors="replace")
        assert not re.search(r"error|\[E:|failed", log, re.IGNORECASE), log


def _bicubic_case(**given: Any) -> ModelCase:
    return ModelCase("bicubic", _bicubic, precision="int8", **given)


CASES: tuple[Case, ...] = (
    *(
        ModelCase(f"a model named {name}", lambda folder, name=name: _named(folder, model=name))
        for name in ("image", "probabilities", "classifier", "softmax_3", "cast")
    ),
    ModelCase("an input named probabilities", lambda folder: _named(folder, layer="probabilities")),
    ModelCase("a layer named image", lambda folder: _inner_name(folder, "image")),
    ModelCase("a SavedModel in a folder named image", lambda folder: _named(folder, file="image")),
    Silence(
        "bicubic at int8 for ONNX",
        _bicubic_case(error=r"bicubic interpolation.*--precision fp16, or --format openvino"),
    ),
    Silence(
        "bicubic at int8 for LiteRT",
        _bicubic_case(formats=("litert",), error=r"ResizeBicubic.*--format onnx"),
    ),
    ModelCase("MODEL.KERAS", lambda folder: _capitals(folder, "MODEL.KERAS")),
    ModelCase("MODEL.H5", lambda folder: _capitals(folder, "MODEL.H5")),
    ModelCase("saved_model.pb in place of its folder", _protobuf),
    SaidOnce(),
    ModelCase("what Keras itself cannot run", _fails_in_keras, error=r"expected axis -1 .* 192.*model\.predict"),
    ModelCase("chance in a branch of a SavedModel", _chance_in_a_branch, error=r"at random \("),
    ModelCase("bicubic at int8 for OpenVINO", _bicubic, formats=("openvino",), precision="int8", atol=0.05),
    ModelCase("bicubic at fp16 for ONNX", _bicubic, precision="fp16", atol=0.01),
    *(
        ModelCase(
            f"{interpolation} for {target}",
            lambda folder, interpolation=interpolation: _resized(folder, interpolation),
            formats=(target,),
            error=rf'resizes its images with interpolation .*"{interpolation}".*interpolation="bilinear".*savedmodel',
        )
        for interpolation in ("area", "lanczos3")
        for target in ("onnx", "openvino", "litert")
    ),
    ModelCase("area for SavedModel", lambda folder: _resized(folder, "area"), formats=("savedmodel",)),
    ModelCase("bilinear", lambda folder: _resized(folder, "bilinear"), formats=("onnx", "openvino", "litert")),
    ModelCase("nearest", lambda folder: _resized(folder, "nearest"), formats=("onnx", "openvino", "litert")),
)
