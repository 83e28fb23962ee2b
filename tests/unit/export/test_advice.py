"""The options in a failed gate's hint get the artifact through it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from edge_fm_export.context import QuantizeOptions
from edge_fm_export.gate.advice import gate_advice
from edge_fm_export.targets import Target
from edge_fm_runtime.parity.checks import Check, Limits, check_parity
from edge_fm_runtime.parity.comparison import compare_probabilities

FIELDS = {"--min-agreement": "min_agreement", "--max-drop": "max_drop_points", "--max-diff": "max_abs_diff"}


@pytest.mark.parametrize(("n", "wrong"), [(40, 9), (81, 33), (300, 17), (10_000, 321)])
def test_the_limits_it_names_are_kept(n: int, wrong: int) -> None:
    reference = np.eye(3)[np.arange(n) % 3]
    candidate = reference.copy()
    candidate[:wrong] = np.roll(reference[:wrong], 1, axis=1) * 0.987 + 0.004
    parity = compare_probabilities(reference, candidate, labels=np.arange(n) % 3)
    failed = check_parity(parity, Limits(0.999, 0.5, 1e-4))
    assert not any(check.passed for check in failed)
    advice = gate_advice(failed, Target("onnx", "int8"), QuantizeOptions(), calibrated=300)
    given = {FIELDS[option]: float(value) for option, value in re.findall(r"(--m[a-z-]+) (\S+)", advice)}
    assert set(given) == set(FIELDS.values())
    assert all(check.passed and not check.warns for check in check_parity(parity, Limits(**given)))


def test_only_what_can_help_is_named() -> None:
    drop = [Check("drop_points", 2.0, 0.5, passed=False)]
    assert "--samples" not in gate_advice(drop, Target("onnx", "int8"), QuantizeOptions(), calibrated=120)
    assert "--samples 1000" in gate_advice(drop, Target("onnx", "int8"), QuantizeOptions(), calibrated=300)
    assert "--accuracy-control" not in gate_advice(drop, Target("onnx", "int8"), QuantizeOptions(accuracy_control=True))
    litert = gate_advice(drop, Target("litert", "int8"), QuantizeOptions(), calibrated=300)
    assert "--accuracy-control" not in litert and "--precision w8a16 or --precision fp16" in litert
    finer = gate_advice(drop, Target("litert", "w8a16"), QuantizeOptions(), calibrated=300)
    assert "Try --samples 1000 or --precision fp16." in finer
    assert all("w8a16" not in gate_advice(drop, Target(f, "int8"), QuantizeOptions()) for f in ("onnx", "openvino"))
    assert "--precision fp32" in gate_advice(drop, Target("onnx", "fp16"), QuantizeOptions())
    batch = gate_advice(
        [Check("max_abs_diff_batch1", 0.5, 1e-3, passed=False)], Target("onnx", "fp32"), QuantizeOptions()
    )
    assert "--static-batch 1" in batch and "accept" not in batch
