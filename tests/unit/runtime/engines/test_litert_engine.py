"""The litert engine: LiteRT alone, on the device that was asked for, at any batch size."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tiny_models import TINY_SHAPES, tiny_images

from edge_fm_export.targets import Target
from edge_fm_runtime.artifacts.artifact import Artifact, load_artifact
from edge_fm_runtime.artifacts.embedded import read_embedded
from edge_fm_runtime.engines import EngineOptions, create_engine
from edge_fm_runtime.errors import ArtifactError, DeviceError, EngineError, MissingDependencyError

if TYPE_CHECKING:
    from edge_fm_export.results import ExportResult

Exported = Callable[[str, Target], "ExportResult"]
PRECISIONS = ("fp32", "fp16", "int8", "w8a16")


@pytest.fixture(scope="module")
def artifact(exported: Exported) -> Artifact:
    return load_artifact(exported("colour", Target("litert", "fp32")).path)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_predictions_at_any_batch_size(precision: Any, exported: Exported) -> None:
    artifact = load_artifact(exported("colour", Target("litert", precision)).path)
    images, _ = tiny_images(TINY_SHAPES["colour"], 9, seed=8)
    engine = create_engine(artifact, options=EngineOptions(threads=1))
    assert (engine.name, engine.device, engine.threads) == ("litert", "CPU", 1)
    assert engine.precision == (precision if precision in ("int8", "w8a16") else "fp32")
    whole = engine.infer(images)
    assert whole.dtype == np.float32 and whole.shape == (9, 4)
    kept = whole.copy()
    parts = np.concatenate([engine.infer(images[i : i + 1]) for i in range(9)])
    np.testing.assert_allclose(parts, whole, atol=1e-5)
    np.testing.assert_array_equal(whole, kept, err_msg="a prediction changed when the engine went on")
    np.testing.assert_allclose(engine.infer(images[2:7]), whole[2:7], atol=1e-5)
    engine.close()


@pytest.mark.parametrize("device", ["GPU", "NPU", "cpu", ""])
def test_no_other_device(device: str, artifact: Artifact) -> None:
    with pytest.raises(DeviceError, match="CPU"):
        create_engine(artifact, "litert", options=EngineOptions(device=device))


def test_another_format_is_refused(artifact: Artifact) -> None:
    other = replace(artifact, metadata=replace(artifact.metadata, format="onnx"))
    with pytest.raises(EngineError, match="litert artifacts"):
        create_engine(other, "litert")


@pytest.mark.parametrize("damage", [b"", b"no flatbuffer at all", None])
def test_a_damaged_file_is_an_engine_error(damage: bytes | None, artifact: Artifact, tmp_path: Path) -> None:
    payload = tmp_path / "model.tflite"
    whole = artifact.payload.read_bytes()
    payload.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    with pytest.raises(EngineError, match=r"model\.tflite"):
        create_engine(replace(artifact, payload=payload), "litert")


def test_metadata_of_another_model_is_refused(artifact: Artifact) -> None:
    wrong = replace(artifact.metadata, labels=artifact.metadata.labels[:-1])
    with pytest.raises(EngineError, match="its metadata says"):
        create_engine(replace(artifact, metadata=wrong), "litert")


def test_a_fixed_batch_takes_no_other(artifact: Artifact) -> None:
    fixed = replace(artifact.metadata, input=replace(artifact.metadata.input, batch=1))
    engine = create_engine(replace(artifact, metadata=fixed), "litert")
    images, _ = tiny_images(TINY_SHAPES["colour"], 2, seed=8)
    assert engine.infer(images[:1]).shape == (1, 4)
    with pytest.raises(EngineError, match="batches of 1"):
        engine.infer(images)


def test_a_missing_package_prints_the_line(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(MissingDependencyError, match=r"edge-fm\[litert\]"):
        create_engine(artifact, "litert")


def test_the_bare_library_runs_the_file(artifact: Artifact, tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    shutil.copy(artifact.payload, tmp_path / "bare.tflite")
    images, _ = tiny_images(TINY_SHAPES["colour"], 3, seed=8)
    interpreter = Interpreter(str(tmp_path / "bare.tflite"))
    runner = interpreter.get_signature_runner("serving_default")
    prediction = runner(image=images)["probabilities"]
    engine = create_engine(artifact, "litert")
    np.testing.assert_allclose(prediction, engine.infer(images), atol=1e-6)


def test_a_bare_file_predicts_like_its_artifact(artifact: Artifact, tmp_path: Path) -> None:
    copy = shutil.copy(artifact.payload, tmp_path / "Moved model.tflite")
    bare = load_artifact(copy)
    assert bare.bare and bare.metadata.labels == artifact.metadata.labels
    images, _ = tiny_images(TINY_SHAPES["colour"], 3, seed=8)
    predictions = [create_engine(a, "litert").infer(images) for a in (bare, artifact)]
    np.testing.assert_array_equal(*predictions)


def test_a_bare_file_that_is_cut_or_changed_never_ends_in_a_traceback(artifact: Artifact, tmp_path: Path) -> None:
    whole = artifact.payload.read_bytes()
    rng = np.random.default_rng(0)
    file = tmp_path / "model.tflite"
    text = read_embedded(artifact.payload)
    for length in [*range(40), *rng.integers(40, len(whole), 60)]:
        file.write_bytes(whole[:length])
        try:
            assert read_embedded(file) == text  # a cut may spare all that the metadata needs
        except ArtifactError:
            continue
    for _ in range(300):
        changed = bytearray(whole)
        # Where the tables are that lead to the metadata: at the beginning, and anywhere.
        for at in rng.integers(0, rng.choice([64, 512, len(whole)]), 3):
            changed[at] = rng.integers(256)
        file.write_bytes(changed)
        try:
            read_embedded(file)
        except ArtifactError:
            continue
    file.write_bytes(whole)
    assert read_embedded(file) == text


def test_a_bare_file_without_our_metadata_says_so(tmp_path: Path) -> None:
    import tensorflow as tf

    function = tf.function(lambda x: x + 1, input_signature=[tf.TensorSpec([1, 2], tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    file = tmp_path / "third-party.tflite"
    file.write_bytes(converter.convert())
    with pytest.raises(ArtifactError, match="no embedded EdgeFM metadata"):
        load_artifact(file)
