"""Of several artifacts, the command to go on with names the one that goes onto most devices."""

from __future__ import annotations

import pytest

from edge_fm.cli.deployment.export import _order
from edge_fm_export.targets import Target


@pytest.mark.parametrize(
    ("targets", "named"),
    [
        (["savedmodel-fp32", "onnx-fp32", "onnx-fp16", "onnx-int8", "openvino-int8", "litert-int8"], "onnx-int8"),
        (["savedmodel-fp32", "litert-int8", "openvino-fp32"], "openvino-fp32"),
        (["savedmodel-fp32", "tflm-int8", "litert-fp16", "litert-w8a16"], "litert-fp16"),
        (["tflm-int8"], "tflm-int8"),
    ],
)
def test_the_artifact_that_is_named(targets: list[str], named: str) -> None:
    made = [Target(*text.split("-")) for text in targets]  # type: ignore[arg-type]
    assert min(made, key=_order) == Target(*named.split("-"))  # type: ignore[arg-type]
