"""In every format, what runs are the bytes that the signature was checked on, not what lies in the folder later."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from signing_keys import make_key

from edge_fm.api.artifacts.sign import sign
from edge_fm.api.common.engines import ALL_ENGINES
from edge_fm_export.targets import parse_targets
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.engines import create_engine
from edge_fm_runtime.parity.verification import verify_golden

if TYPE_CHECKING:
    from conftest import Exported

pytestmark = [pytest.mark.slow, pytest.mark.needs("cryptography")]


@pytest.mark.parametrize(
    ("kind", "engine"),
    [
        *(("onnx", "onnxruntime"), ("onnx", "openvino"), ("openvino", "openvino"), ("litert", "litert")),
        ("savedmodel", "savedmodel"),
    ],
)
def test_the_checked_bytes_run(
    kind: str, engine: str, exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # no model that was compiled before
    (target,) = parse_targets(kind, "fp32")
    folder = tmp_path / "signed"
    shutil.copytree(exported("grey", target).path, folder)
    key = make_key(tmp_path)
    sign(folder, key)
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), dtype=np.uint8)
    before = create_engine(load_artifact(folder), engine, registry=ALL_ENGINES)
    right = before.infer(images)
    before.close()
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    opened = load_artifact(folder, require_signature=key.with_suffix(".pub"))
    shutil.rmtree(folder)
    runner = create_engine(opened, engine, registry=ALL_ENGINES)
    try:
        np.testing.assert_allclose(runner.infer(images), right, atol=1e-6)
        assert verify_golden(opened, runner).passed
    finally:
        runner.close()
