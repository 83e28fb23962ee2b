"""What an export costs, proof and all, beside Keras's own export, which proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import against
from edge_fm_export.compat.tensorflow_setup import quiet
from edge_fm_export.context import EvaluationSet, SourceModel
from edge_fm_export.pipeline import export_targets
from edge_fm_export.quantization.calibration import hash_images
from edge_fm_export.sources import load_source
from edge_fm_export.targets import Target
from edge_fm_runtime.parity.checks import Limits

TARGETS = (
    Target("savedmodel", "fp32"),
    Target("onnx", "fp32"),
    Target("onnx", "int8"),
    Target("openvino", "fp32"),
    Target("openvino", "int8"),
    Target("litert", "fp32"),
)
KERAS_FORMATS = {"savedmodel": "tf_saved_model", "onnx": "onnx"}
IMAGES = 256


@pytest.fixture(scope="module")
def source(run: Path) -> SourceModel:
    return load_source(run)


def images(source: SourceModel, seed: int) -> EvaluationSet:
    pixels = np.random.default_rng(seed).integers(0, 256, (IMAGES, *source.input.shape), dtype=np.uint8)
    return EvaluationSet(f"noise {seed}", pixels, None, hash_images(pixels, None))


def ours(source: SourceModel, target: Target, folder: Path) -> Callable[[], object]:
    test, calibration = images(source, 1), images(source, 2)
    # Noise lies between the classes: its agreement tells nothing, and is not what is measured here.
    lenient = Limits(min_agreement=0.0, max_abs_diff=1.0)
    return lambda: export_targets(
        source, [target], folder, test=test, calibration=calibration, limits_override=lenient, force=True
    ).require_all()


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_export(benchmark: Any, source: SourceModel, tmp_path: Path, target: Target) -> None:
    call = ours(source, target, tmp_path / "ours")
    benchmark.group = "export"
    benchmark.extra_info.update(format=target.format, precision=target.precision, evaluated_on=IMAGES)
    benchmark.pedantic(call, rounds=2)
    keras_format = KERAS_FORMATS.get(target.format)
    if keras_format is None or target.precision != "fp32":
        return

    def bare() -> None:
        with quiet():
            source.model.export(str(tmp_path / f"bare-{target.format}"), format=keras_format, verbose=False)

    compared = against.slow(call, bare, f"model.export(format={keras_format!r})", rounds=3)
    benchmark.extra_info["against"] = compared
