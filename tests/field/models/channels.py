"""Models of other channels than photos have: arrays work, photos are refused once and not one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from field.case import Case, CommandCase, DataCase, Model, ModelCase
from field.makers import CLASSES, body, keras, noise, saved


def _model(folder: Path, channels: int) -> Model:
    k = keras()
    image = k.Input((12, 10, channels))
    return saved(k.Model(image, body(k.layers.Rescaling(1 / 255)(image))), folder)


def _photos(folder: Path) -> Path:
    for label in range(CLASSES):
        (folder / "photos" / f"class_{label}").mkdir(parents=True)
        for i in range(3):
            pixels = noise((12, 10, 4), 3)[i]
            Image.fromarray(pixels, "RGBA").save(folder / "photos" / f"class_{label}" / f"{i}.png")
    return folder / "photos"


def _export(folder: Path, data: str) -> Sequence[str | Path]:
    made = _model(folder, 4)
    _photos(folder)
    labels = np.arange(40) % CLASSES
    np.savez(folder / "arrays.npz", images=noise((12, 10, 4), 40), labels=labels)
    return ["export", made.path, "--data", folder / data, "--out", folder / "out"]


def _infer(folder: Path) -> Sequence[str | Path]:
    from exporting import export

    from edge_fm_export.context import EvaluationSet
    from edge_fm_export.sources import load_source
    from edge_fm_export.targets import parse_targets

    made = _model(folder, 4)
    test = EvaluationSet("noise", made.images, None, "noise")
    report = export(load_source(made.path), parse_targets(["onnx"]), folder / "out", test=test)
    return ["infer", _photos(folder), "--recursive", "--model", report.results[0].path]


_ONCE = r"\A(?!.*4 channels.*4 channels).*takes 4 channels; photos give 1 \(grey\) or 3 \(RGB\)"

ALL = ("savedmodel", "onnx", "openvino", "litert")

CASES: tuple[Case, ...] = (
    ModelCase("RGBA", lambda f: _model(f, 4), formats=ALL, notes=("4 channels",)),
    ModelCase("two channels", lambda f: _model(f, 2), notes=("2 channels.*no photos",)),
    ModelCase("six channels in int8", lambda f: _model(f, 6), precision="int8", atol=0.1),
    DataCase("photos for RGBA", _photos, shape=(12, 10, 4), error=_ONCE),
    CommandCase(
        "RGBA model, photos",
        lambda f: _export(f, "photos"),
        exit_code=1,
        stderr=("Error: The model takes 4",),
    ),
    CommandCase("RGBA model, arrays", lambda f: _export(f, "arrays.npz")),
    CommandCase("RGBA artifact, photos", _infer, exit_code=1, stderr=(_ONCE,)),
)
