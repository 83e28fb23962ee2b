"""Models whose input is no [N,height,width,channels], and how photos of other proportions meet them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from field.case import Case, CommandCase, Model, ModelCase
from field.makers import CLASSES, body, keras, noise, saved

ALL = ("savedmodel", "onnx", "openvino", "litert")


def _dense(shape: tuple[int, ...], *, first: Any = None, dtype: str = "float32") -> Any:
    k = keras()
    image = k.Input(shape, dtype=dtype)
    x = k.layers.Rescaling(1 / 255)(image)
    x = k.layers.Flatten()(first(x) if first is not None else x)
    x = k.layers.Dense(16, activation="relu")(x)
    return k.Model(image, k.layers.Dense(CLASSES, activation="softmax")(x))


def _without_channels(folder: Path, shape: tuple[int, int] = (28, 28), **given: Any) -> Model:
    images = noise((*shape, 1))
    return saved(_dense(shape, **given), folder, images=images, fed=images[..., 0].astype("float32"))


def _open_without_channels(folder: Path) -> Model:
    k = keras()
    image = k.Input((None, None))
    x = k.layers.Reshape((28, 28, 1))(k.layers.Rescaling(1 / 255)(image))
    images = noise((28, 28, 1))
    return saved(k.Model(image, body(x)), folder, images=images, fed=images[..., 0].astype("float32"))


def _rows(folder: Path) -> Model:
    k = keras()
    model = k.Sequential(
        [
            k.Input((28, 28)),
            k.layers.Rescaling(1 / 255),
            k.layers.SimpleRNN(8, unroll=True),
            k.layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    images = noise((28, 28, 1))
    return saved(model, folder, images=images, fed=images[..., 0].astype("float32"))


def _flat(folder: Path, image: tuple[int, int, int], taken: tuple[int, ...], **given: Any) -> Model:
    images = noise(image)
    return saved(_dense(taken, **given), folder, images=images, fed=images.reshape(-1, *taken).astype("float32"))


def _integers(folder: Path) -> Model:
    k = keras()
    image = k.Input((28, 28), dtype="uint8")
    x = k.layers.Flatten()(k.layers.Rescaling(1 / 255)(image))
    images = noise((28, 28, 1))
    model = k.Model(image, k.layers.Dense(CLASSES, activation="softmax")(x))
    return saved(model, folder, images=images, fed=images[..., 0])


def _export(folder: Path, *options: str) -> Sequence[str | Path]:
    """Wide photos with their mark on the left or the right, and a model that knows them when they are stretched."""
    k = keras()
    image = k.Input((8, 8, 3))
    # The upper left pixel alone: letterboxing would make it black.
    x = k.layers.Cropping2D(((0, 7), (0, 7)))(k.layers.Rescaling(1 / 255)(image))
    dense = k.layers.Dense(2, activation="softmax")
    model = k.Model(image, dense(k.layers.Flatten()(x)))
    dense.set_weights([np.array([[40.0, -40.0]] * 3, np.float32), np.array([-60.0, 60.0], np.float32)])
    model.save(folder / "sides.keras")
    for label, column in (("left", 0), ("right", 32)):
        (folder / "photos" / label).mkdir(parents=True)
        for i in range(10):
            pixels = np.full((16, 64, 3), 10 + i, np.uint8)
            pixels[:, column : column + 32] = 240 + i
            Image.fromarray(pixels).save(folder / "photos" / label / f"{i}.png")
    return ["export", folder / "sides.keras", "--data", folder / "photos", "--out", folder / "out", "--json", *options]


def _all_right(folder: Path, stdout: str) -> None:
    (made,) = json.loads(stdout)
    assert made["parity"]["accuracy"] == 1.0
    metadata = json.loads((Path(made["artifact"]) / "edgefm.json").read_text(encoding="utf-8"))
    assert metadata["photo"]["mode"] == "stretch"


@dataclass(frozen=True)
class _OriginalCase:
    """The original of an artifact is opened again, where only the artifact knows the size of its images."""

    name: str

    def check(self, folder: Path) -> None:
        from exporting import export

        from edge_fm.evaluation.benchmark.cases import open_reference, reference_cases
        from edge_fm_export.context import EvaluationSet
        from edge_fm_export.sources import load_source
        from edge_fm_export.targets import parse_targets
        from edge_fm_runtime.artifacts.artifact import load_artifact
        from edge_fm_runtime.engines import EngineOptions

        made = _flat(folder, (28, 28, 1), (784,))
        source = load_source(made.path, input_size=(28, 28))
        test = EvaluationSet("noise", made.images, None, "noise")
        (result,) = export(source, parse_targets(["onnx"]), folder / "out", test=test).results
        case, _ = reference_cases(made.path, EngineOptions(), made.images, like=load_artifact(result.path))
        engine, shape = open_reference(case.path, case.engine_name, EngineOptions())
        assert shape == (28, 28, 1)
        for opened in (case.engine, engine):
            np.testing.assert_allclose(opened.infer(made.images), made.expected, atol=1e-5)


CASES: tuple[Case, ...] = (
    ModelCase("Input((28, 28))", _without_channels, formats=ALL, notes=(r"\[N,28,28\]",)),
    ModelCase("Input((28, 28)) in int8", _without_channels, precision="int8", atol=0.1),
    ModelCase("Input((20, 30))", lambda folder: _without_channels(folder, (20, 30))),
    ModelCase("Input((28, 28)) of uint8", _integers),
    ModelCase("rows of an image to a recurrent layer", _rows),
    ModelCase("open size without channels", _open_without_channels, error="any size.*--input-size"),
    ModelCase("open size without channels, size given", _open_without_channels, source={"input_size": (28, 28)}),
    ModelCase("flat vector of 784", lambda f: _flat(f, (28, 28, 1), (784,)), error="784 values.*--input-size 28x28"),
    ModelCase(
        "flat vector of 784, size given",
        lambda f: _flat(f, (28, 28, 1), (784,)),
        formats=ALL,
        source={"input_size": (28, 28)},
    ),
    ModelCase(
        "flat vector of colours, size given",
        lambda f: _flat(f, (10, 8, 3), (240,)),
        source={"input_size": (10, 8)},
    ),
    ModelCase(
        "column of pixels, size given",
        lambda f: _flat(f, (14, 14, 1), (196, 1)),
        source={"input_size": (14, 14)},
    ),
    ModelCase(
        "flat vector, size that does not fit",
        lambda f: _flat(f, (28, 28, 1), (784,)),
        source={"input_size": (20, 20)},
        error="20x20 was asked for.*784 values",
    ),
    _OriginalCase("original of a flat vector, measured beside its artifact"),
    ModelCase("row of a table", lambda f: _flat(f, (7, 1, 1), (7,)), error="7 values.*not an image"),
    CommandCase("wide photos are stretched", _export, verify=_all_right, stderr=("image_dataset_from_directory",)),
    CommandCase(
        "--photo fit is obeyed",
        lambda folder: _export(folder, "--photo", "fit"),
        no_stderr=("image_dataset_from_directory",),
    ),
)
