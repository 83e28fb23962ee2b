"""Every engine that can run the tiny artifact gives its predictions; what cannot be had is refused, never replaced."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.artifacts.files import hash_file
from edge_fm_runtime.artifacts.golden import load_golden
from edge_fm_runtime.artifacts.metadata import Metadata, dump_metadata
from edge_fm_runtime.engines import ENGINES, EngineOptions, create_engine
from edge_fm_runtime.errors import DeviceError, EngineError, PrecisionWarning
from edge_fm_runtime.parity.verification import verify_golden

ONNX_ENGINES = ("onnxruntime", "openvino")


@pytest.mark.parametrize("name", ONNX_ENGINES)
def test_predictions_at_batches_of_any_size(artifact_folder: Path, name: str) -> None:
    artifact = load_artifact(artifact_folder)
    golden = load_golden(artifact_folder / "golden.npz")
    engine = create_engine(artifact, name)
    for batch in (1, 5, 32):
        predictions = engine.predict_all(golden.images, batch=batch)
        assert predictions.dtype == np.float32
        np.testing.assert_allclose(predictions, golden.reference, atol=1e-5)
    assert (engine.name, engine.device, engine.precision) == (name, "CPU", "fp32")
    engine.close()


@pytest.mark.parametrize("name", ONNX_ENGINES)
def test_a_prediction_is_not_overwritten_by_the_next(artifact_folder: Path, name: str) -> None:
    golden = load_golden(artifact_folder / "golden.npz")
    engine = create_engine(load_artifact(artifact_folder), name)
    first = engine.infer(golden.images[:1])
    kept = first.copy()
    engine.infer(golden.images[1:2])
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("name", ONNX_ENGINES)
@pytest.mark.parametrize("device", ["GPU", "NPU", "cpu", "TPU"])
def test_a_device_that_is_not_there_is_an_error_that_lists_those_that_are(
    artifact_folder: Path, name: str, device: str
) -> None:
    with pytest.raises(DeviceError, match=f"no device '{device}' here; it has: .*CPU"):
        create_engine(load_artifact(artifact_folder), name, options=EngineOptions(device=device))


@pytest.mark.parametrize("name", ONNX_ENGINES)
def test_threads_are_as_asked(artifact_folder: Path, name: str) -> None:
    assert create_engine(load_artifact(artifact_folder), name, options=EngineOptions(threads=1)).threads == 1


def test_an_unknown_engine_lists_the_known(artifact_folder: Path) -> None:
    with pytest.raises(EngineError, match="onnxruntime"):
        create_engine(load_artifact(artifact_folder), "tensorrt")


@pytest.mark.parametrize("name", sorted(set(ENGINES) - {"null"}))
def test_another_format_is_refused(make_artifact: Callable[..., Path], metadata: Metadata, name: str) -> None:
    artifact = load_artifact(make_artifact())
    other_format = replace(artifact, metadata=replace(artifact.metadata, format="savedmodel"))
    with pytest.raises(EngineError, match="savedmodel"):
        create_engine(other_format, name)


@pytest.mark.parametrize("name", ONNX_ENGINES)
def test_a_broken_model_is_an_engine_error(artifact_folder: Path, name: str) -> None:
    payload = artifact_folder / "model.onnx"
    payload.write_bytes(payload.read_bytes().replace(b"Softmax", b"Sofamax"))  # an operator that there is not
    metadata = load_artifact(artifact_folder, check_hashes=False).metadata
    files = {**metadata.files, payload.name: hash_file(payload)}
    (artifact_folder / "edgefm.json").write_text(dump_metadata(replace(metadata, files=files)))
    artifact = load_artifact(artifact_folder)
    with pytest.raises(EngineError, match=r"model\.onnx"):
        create_engine(artifact, name)


@pytest.mark.parametrize("name", [*ONNX_ENGINES, "null"])
def test_golden_predictions_replay(artifact_folder: Path, name: str) -> None:
    artifact = load_artifact(artifact_folder)
    result = verify_golden(artifact, create_engine(artifact, name))
    assert result.passed == (name != "null"), result.checks
    assert result.to_json()["engine"] == name
    assert result.parity.n == 32


def test_fixed_batch_is_respected(make_artifact: Callable[..., Path], metadata: Metadata) -> None:
    from edge_fm_runtime.classifier import Classifier

    fixed = replace(metadata, input=replace(metadata.input, batch=4))
    with Classifier.load(make_artifact(metadata=fixed)) as classifier:
        photos = [np.full((4, 4), value, np.uint8) for value in range(0, 250, 25)]
        assert len(list(classifier.classify_many(photos))) == 10


@pytest.mark.needs("openvino")
def test_ctrl_c_arrives_after_openvino_engines_were_closed_in_any_order(artifact_folder: Path) -> None:
    """OpenVINO's plugin changes the signal stack; cores released out of order left one that was freed."""
    code = f"""
import os, signal, time
import numpy as np
from edge_fm_runtime import create_engine, load_artifact
artifact = load_artifact({str(artifact_folder)!r})
pixels = np.zeros((1, 4, 4, 1), np.uint8)
first, second = create_engine(artifact, "openvino"), create_engine(artifact, "openvino")
for engine in (first, second):
    engine.infer(pixels)
    engine.close()
del first, engine
del second
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts with it ignored
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


@pytest.mark.parametrize("name", ONNX_ENGINES)
@pytest.mark.parametrize("products", ["exact", "saturating", "unknown"])
@pytest.mark.parametrize("reduced", [False, True])
def test_what_would_saturate_here_is_computed_in_float(
    make_artifact: Callable[..., Path],
    metadata: Metadata,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    products: str,
    reduced: bool,
) -> None:
    """Only ONNX Runtime adds 8-bit products in 16 bits; OpenVINO's predictions were found not to saturate."""
    monkeypatch.setattr("edge_fm_runtime.engines.onnxruntime_engine.byte_products", lambda: products)
    quantization = {"reduce_range": reduced, "safe_for": "x86 with VNNI or AMX, and Arm"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = make_artifact(metadata=replace(metadata, precision="int8", quantization=quantization))
    artifact = load_artifact(folder)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        engine = create_engine(artifact, name)
    precision = engine.precision
    engine.close()
    messages = [str(w.message) for w in caught if issubclass(w.category, PrecisionWarning)]
    if reduced or products == "exact" or name == "openvino":
        assert (messages, precision) == ([], "int8")
    else:
        (line,) = messages
        assert precision == "fp32"
        assert str(artifact.path) in line and "x86 with VNNI" in line and "--any-cpu" in line
