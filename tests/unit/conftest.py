"""A real artifact, small enough to be made anew for each test: one dense layer over 4x4 grey pixels, three classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_onnx import write_tiny_onnx

from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.artifacts.files import hash_file
from edge_fm_runtime.artifacts.golden import Golden, save_golden
from edge_fm_runtime.artifacts.metadata import FileEntry, InputSpec, Metadata, dump_metadata
from edge_fm_runtime.engines import EngineOptions
from edge_fm_runtime.engines.onnxruntime_engine import OnnxRuntimeEngine

LABELS = ("T-shirt/top", "Ankle boot", "Bag")


@pytest.fixture
def metadata() -> Metadata:
    return Metadata("tiny", "onnx", "fp32", "model.onnx", InputSpec(4, 4, 1), LABELS)


@pytest.fixture
def make_artifact(tmp_path: Path, metadata: Metadata) -> Callable[..., Path]:
    def make(name: str = "tiny-onnx-fp32", *, metadata: Metadata = metadata) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        write_tiny_onnx(folder / metadata.payload, metadata)
        images = np.random.default_rng(1).integers(0, 256, (32, 4, 4, 1), dtype=np.uint8)
        engine = OnnxRuntimeEngine(Artifact(folder, metadata, folder / metadata.payload), EngineOptions())
        predictions = engine.infer(images)
        save_golden(Golden(images, predictions, predictions), folder / "golden.npz")
        files: dict[str, FileEntry] = {n: hash_file(folder / n) for n in (metadata.payload, "golden.npz")}
        (folder / "edgefm.json").write_text(dump_metadata(replace(metadata, files=files)))
        return folder

    return make


@pytest.fixture
def artifact_folder(make_artifact: Callable[..., Path]) -> Path:
    return make_artifact()
