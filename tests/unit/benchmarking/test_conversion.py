"""What a conversion costs is measured with the conversion as it is."""

from __future__ import annotations

from importlib import import_module

import pytest

pytest.importorskip("benchmarks", reason="benchmarks/ is in the repository alone")


@pytest.mark.needs("tensorflow", "tf2onnx")
def test_a_model_is_converted_and_measured() -> None:
    found = import_module("benchmarks.artifacts.conversion").convert("edgenet-n", "ours")
    assert found["operators"]["Conv"] > 0 and found["seconds"] > 0
