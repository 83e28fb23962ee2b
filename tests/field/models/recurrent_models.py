"""Models with loops, and layers that are called once for each step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from field.case import Case, Model, ModelCase
from field.makers import CLASSES, keras, saved


def _recurrent(folder: Path, kind: str = "LSTM", *, unroll: bool = False) -> Model:
    k = keras()
    image = k.Input((6, 8, 3))
    x = k.layers.Reshape((6, 24))(k.layers.Rescaling(1 / 255)(image))
    x = getattr(k.layers, kind)(5, unroll=unroll)(x)
    return saved(k.Model(image, k.layers.Dense(CLASSES, activation="softmax")(x)), folder)


def _time_distributed(folder: Path) -> Model:
    k = keras()
    layers = k.layers
    image = k.Input((8, 8, 3))
    x = layers.Reshape((4, 4, 4, 3))(layers.Rescaling(1 / 255)(image))
    for _ in range(2):
        x = layers.TimeDistributed(layers.Conv2D(4, 3, padding="same", activation="relu"))(x)
    x = layers.GlobalAveragePooling3D()(x)
    return saved(k.Model(image, layers.Dense(CLASSES, activation="softmax")(x)), folder)


@dataclass(frozen=True)
class Crash:
    """A conversion that ends its process leaves an error and no files."""

    name: str = "LSTM LiteRT int8 with a fixed batch: the converter crashes"

    def check(self, folder: Path) -> None:
        """Export, and look at what is left."""
        error = r"cannot convert the model: it crashed \(SIGSEGV\).*unroll=True.*--static-batch 1 --precision fp16"
        case = ModelCase(self.name, _recurrent, formats=("litert",), precision="int8", static_batch=1, error=error)
        case.check(folder)
        assert sorted(path.name for path in folder.rglob("*")) == ["flowers.keras"]


_BOTH_WAYS = r"TensorListReserve.*--static-batch 1, or build the recurrent layers with unroll=True"
CASES: tuple[Case, ...] = (
    ModelCase("TimeDistributed(Conv2D)", _time_distributed, formats=("onnx", "openvino", "litert")),
    ModelCase("LSTM", _recurrent, formats=("savedmodel", "onnx", "openvino")),
    ModelCase("GRU LiteRT", lambda folder: _recurrent(folder, "GRU"), formats=("litert",), error=_BOTH_WAYS),
    ModelCase("LSTM LiteRT with a fixed batch", _recurrent, formats=("litert",), static_batch=1),
    ModelCase(
        "unrolled LSTM LiteRT int8",
        lambda folder: _recurrent(folder, unroll=True),
        formats=("litert",),
        precision="int8",
        atol=0.05,
    ),
    Crash(),
)
