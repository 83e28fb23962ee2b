"""Models that load and do not compute probabilities: damaged, or made so, with hashes that are right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import pytest
from tiny_onnx import tiny_onnx

from edge_fm_runtime import Classifier
from edge_fm_runtime.artifacts.files import hash_file
from edge_fm_runtime.artifacts.metadata import (
    EMBEDDED_KEY,
    METADATA_FILE,
    InputSpec,
    Metadata,
    PhotoSpec,
    dump_metadata,
)
from edge_fm_runtime.errors import ArtifactError, EngineError

LABELS = ("Bag", "Ankle boot", "T-shirt/top")
PIXELS = np.full((1, 4, 4, 1), 200, np.uint8)


def artifact(folder: Path, change: Callable[[bytes], bytes], *, weights: float = 1.0) -> Path:
    """An artifact of a tiny ONNX model, changed, with the hashes of what it became."""
    metadata = Metadata("tiny", "onnx", "fp32", "model.onnx", InputSpec(4, 4, 1), LABELS, PhotoSpec("stretch"))
    values = np.full((16, len(LABELS)), weights, np.float32)
    folder.mkdir()
    (folder / "model.onnx").write_bytes(change(tiny_onnx(values, properties={EMBEDDED_KEY: metadata.embedded()})))
    files = {"model.onnx": hash_file(folder / "model.onnx")}
    (folder / METADATA_FILE).write_text(dump_metadata(replace(metadata, files=files)), encoding="utf-8")
    return folder


def unchanged(content: bytes) -> bytes:
    return content


def test_what_is_no_finite_number_is_an_error(tmp_path: Path) -> None:
    with Classifier.load(artifact(tmp_path / "nan", unchanged, weights=float("nan"))) as classifier:
        for call in (classifier.classify, lambda photo: classifier.predict_pixels(photo[None])):
            with pytest.raises(EngineError, match="no finite numbers"):
                call(PIXELS[0])
        with pytest.raises(EngineError, match="no finite numbers"):
            list(classifier.classify_many([PIXELS[0]]))
    with Classifier.load(artifact(tmp_path / "whole", unchanged)) as classifier:
        assert classifier.classify(PIXELS[0]).label == LABELS[0]


def test_a_model_that_does_not_run_is_an_error_of_the_engine(tmp_path: Path) -> None:
    folder = artifact(tmp_path / "net", lambda content: content.replace(b"Flatten", b"Squeeze", 1))
    with (
        Classifier.load(folder) as classifier,
        pytest.raises(EngineError, match=r"cannot run .* on uint8 \[1, 4, 4, 1\]"),
    ):
        classifier.classify(PIXELS[0])


def test_a_model_that_cannot_be_loaded_leaves_stdout_to_the_predictions(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """ONNX Runtime's fallback prints to stdout; here it fails to decode its own message about the operator's name."""
    with pytest.raises(EngineError, match="cannot load"):
        Classifier.load(artifact(tmp_path / "net", lambda content: content.replace(b"Softmax", b"Soft\xff\xffx", 1)))
    assert capfd.readouterr().out == ""


def test_an_ir_that_is_another_format_in_truth_is_refused(tmp_path: Path) -> None:
    """OpenVINO would read an ONNX model by this name, and the files that it refers to."""
    metadata = Metadata("tiny", "openvino", "fp32", "model.xml", InputSpec(4, 4, 1), LABELS, PhotoSpec("stretch"))
    section = f"<rt_info><{EMBEDDED_KEY} value={quoteattr(metadata.embedded())}/></rt_info>"
    model = tiny_onnx(np.ones((16, len(LABELS)), np.float32), properties={"note": section})
    (tmp_path / "model.xml").write_bytes(model)
    files = {"model.xml": hash_file(tmp_path / "model.xml")}
    (tmp_path / METADATA_FILE).write_text(dump_metadata(replace(metadata, files=files)), encoding="utf-8")
    with pytest.raises(ArtifactError, match="does not begin as XML"):
        Classifier.load(tmp_path)
