"""Model files that stand alone, with their metadata inside."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.artifacts.embedded import read_embedded
from edge_fm_runtime.errors import ArtifactError


def test_a_bare_model_without_metadata_is_refused(tmp_path: Path) -> None:
    import onnx
    from onnx import helper

    model = helper.make_model(helper.make_graph([], "empty", [], []))
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(ArtifactError, match="no embedded EdgeFM metadata"):
        load_artifact(tmp_path / "other.onnx")


@pytest.mark.parametrize("damage", [b"", b"\x00", b"PK\x03\x04" + b"x" * 50, b"\xff" * 100, b"<html></html>"])
@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_a_bare_file_of_garbage_is_an_artifact_error(tmp_path: Path, damage: bytes, suffix: str) -> None:
    (tmp_path / f"bad{suffix}").write_bytes(damage)
    with pytest.raises(ArtifactError):
        load_artifact(tmp_path / f"bad{suffix}")


def test_embedded_text_survives_at_every_truncation(artifact_folder: Path) -> None:
    whole = (artifact_folder / "model.onnx").read_bytes()
    embedded = read_embedded(artifact_folder / "model.onnx")
    assert embedded is not None
    short = artifact_folder / "short.onnx"
    for length in range(1, len(whole), 37):
        short.write_bytes(whole[:length])
        try:
            text = read_embedded(short)
        except ArtifactError:
            continue
        assert text in (None, embedded)
